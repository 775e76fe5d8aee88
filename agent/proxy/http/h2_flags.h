// Flags of HTTP/2's frames.

#ifndef SALLYPORT_AGENT_PROXY_HTTP_H2_FLAGS_H_
#define SALLYPORT_AGENT_PROXY_HTTP_H2_FLAGS_H_

#include <nghttp2/nghttp2.h>

namespace sallyport::proxy {

// HEADERS and DATA only.
inline bool EndsStream(const nghttp2_frame_hd& frame) {
  return (frame.flags & NGHTTP2_FLAG_END_STREAM) != 0;
}

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HTTP_H2_FLAGS_H_
