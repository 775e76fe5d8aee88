// Moves a body on while something else is awaited.

#ifndef SALLYPORT_AGENT_PROXY_BODY_FLOW_H_
#define SALLYPORT_AGENT_PROXY_BODY_FLOW_H_

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <optional>

#include "agent/proxy/body_sink.h"
#include "agent/proxy/event.h"
#include "agent/proxy/http/http_exchange.h"

namespace sallyport::proxy {

// Runs beside the coroutine that started it, on the same worker, and reads no faster than the
// receiver takes. Whoever starts it must await Stop before either side's connection is given up.
class BodyFlow {
 public:
  struct Source {
    BodyReader* body = nullptr;
    // Ends a read that waits, and every later one.
    std::function<void()> stop;
    // Called if the receiver takes no more before the body's end: nobody will read on. May be null.
    std::function<void()> on_unwanted = nullptr;
  };
  // `first` is a piece that was read from the body already; it holds until the next read.
  static std::shared_ptr<BodyFlow> Start(boost::asio::io_context& context, Source source,
                                         std::unique_ptr<BodySink> sink,
                                         std::string_view first = "");

  // Nobody wants the rest of the body: it is not read any more. Stop follows.
  void Cease() { stopping_ = true; }
  // When nothing moved any more.
  std::optional<SteadyTime> over_since() const { return over_since_; }
  // Returns when the flow no longer touches either side. If the body is not through, the source is
  // stopped and the receiver cut off.
  Task<void> Stop();
  // Not OK: the body broke off, or (INVALID_ARGUMENT) was badly framed, where it comes from.
  const absl::Status& source_status() const { return source_status_; }
  // Not OK: the receiver takes no more; INVALID_ARGUMENT: the body has not the announced length,
  // and the receiver was cut off.
  const absl::Status& sink_status() const { return sink_status_; }

 private:
  BodyFlow(boost::asio::io_context& context, Source source, std::unique_ptr<BodySink> sink)
      : source_(std::move(source)), sink_(std::move(sink)), done_(context) {}

  static Task<void> Run(std::shared_ptr<BodyFlow> self, std::string_view first);
  Task<void> Move(std::string_view first);

  const Source source_;
  const std::unique_ptr<BodySink> sink_;
  Event done_;
  bool stopping_ = false;
  std::optional<SteadyTime> over_since_;
  absl::Status source_status_;
  absl::Status sink_status_;
};

// The body of the container's request. Once stopped, the connection takes no further request.
BodyFlow::Source BodyOf(ServerExchange* client);
// `origin` outlives the flow's work.
std::unique_ptr<BodySink> SinkOf(ClientExchange* origin);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_BODY_FLOW_H_
