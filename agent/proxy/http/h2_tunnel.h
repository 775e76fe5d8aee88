// A stream of HTTP/2 as a byte stream, after an extended CONNECT (RFC 8441).

#ifndef SALLYPORT_AGENT_PROXY_HTTP_H2_TUNNEL_H_
#define SALLYPORT_AGENT_PROXY_HTTP_H2_TUNNEL_H_

#include <memory>

#include "agent/proxy/http/h2_session.h"
#include "agent/proxy/http/h2_stream.h"
#include "agent/proxy/stream.h"

namespace sallyport::proxy {

// See Stream. END_STREAM is its FIN, RST_STREAM its RST. Belongs to one worker.
class H2Tunnel final : public Stream {
 public:
  // `session` outlives this.
  H2Tunnel(H2Session* session, std::shared_ptr<H2Stream> stream)
      : session_(session), stream_(std::move(stream)) {}

  Task<absl::StatusOr<size_t>> Read(std::span<char> buffer) override;
  Task<absl::Status> Write(std::span<const std::string_view> pieces) override;
  Task<absl::Status> ShutdownWrite() override;
  void Close(How how) override;
  void SetDeadline(SteadyTime deadline) override;
  bool ReadableNow() override;

 private:
  Task<absl::Status> AwaitTaken();
  // An event that is waited for with the deadline of the moment.
  Task<absl::Status> Wait(Event* event);
  absl::Status Failure() const;

  H2Session* const session_;
  const std::shared_ptr<H2Stream> stream_;
  SteadyTime deadline_ = SteadyTime::max();
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HTTP_H2_TUNNEL_H_
