// From the wire to what a handler sees.

#ifndef SALLYPORT_SDK_CPP_REQUEST_BUILDER_H_
#define SALLYPORT_SDK_CPP_REQUEST_BUILDER_H_

#include "proto/sallyport/v1/handler.pb.h"
#include "sdk/cpp/sallyport/handler.h"

namespace sallyport {
inline namespace handler_sdk {

class RequestBuilder {
 public:
  // `body` must outlive the request.
  static Request BuildRequest(v1::RequestStart&& start, BodySource* body);
  static Context BuildContext(v1::Context&& proto);
  // `body` must outlive the response.
  static OriginResponse BuildResponse(v1::OriginResponse&& proto, BodySource* body);
};

}  // namespace handler_sdk
}  // namespace sallyport

#endif  // SALLYPORT_SDK_CPP_REQUEST_BUILDER_H_
