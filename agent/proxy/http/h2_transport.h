// Moves the bytes of an HTTP/2 session over a stream.

#ifndef SALLYPORT_AGENT_PROXY_HTTP_H2_TRANSPORT_H_
#define SALLYPORT_AGENT_PROXY_HTTP_H2_TRANSPORT_H_

#include <string>
#include <string_view>

#include "agent/proxy/http/deadlines.h"
#include "agent/proxy/http/h2_limits.h"
#include "agent/proxy/http/h2_session.h"
#include "agent/proxy/http/read_buffer.h"
#include "agent/proxy/stream.h"

namespace sallyport::proxy {

// Belongs to one worker. One coroutine reads and one writes, side by side.
class H2Transport {
 public:
  // Both outlive this. `early` was read from the stream before.
  H2Transport(Stream* stream, H2Session* session, const H2Timeouts& timeouts,
              std::string_view early);

  // Gives the session what is there, at least one byte. An error: the session has failed, and no
  // more is to be read; DEADLINE_EXCEEDED: it is well, and nothing came until the read's deadline,
  // which is none from then on.
  Task<absl::Status> ReadOnce();
  // Of a read that waits, and of those that follow.
  void SetReadDeadline(SteadyTime deadline);
  // Writes what the session has, all of a turn of the event loop at once, until it is finished;
  // then ends a read that waits. Whoever runs both closes the stream.
  Task<void> WriteAll();
  // Leaves both directions the time for last words, and no more.
  void SayFarewell();

 private:
  absl::Status Give();
  void Lose(absl::Status why);

  Stream* const stream_;
  H2Session* const session_;
  const H2Timeouts timeouts_;
  Deadlines deadlines_;
  ReadBuffer buffer_;
  SteadyTime read_deadline_ = SteadyTime::max();
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HTTP_H2_TRANSPORT_H_
