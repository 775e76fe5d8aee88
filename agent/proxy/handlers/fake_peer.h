// A handler's end of a link, for tests: an HTTP/2 server that does exactly what it is told.

#ifndef SALLYPORT_AGENT_PROXY_HANDLERS_FAKE_PEER_H_
#define SALLYPORT_AGENT_PROXY_HANDLERS_FAKE_PEER_H_

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "agent/proxy/event.h"
#include "agent/proxy/stream.h"
#include "proto/sallyport/v1/handler.pb.h"

struct nghttp2_session;

namespace sallyport::proxy {

// Belongs to the one worker of the test. Serves until the stream ends.
class FakePeer {
 public:
  using Fields = std::vector<std::pair<std::string, std::string>>;

  // What came on one stream.
  struct Seen {
    Fields fields;
    std::string bytes;  // Of DATA, gRPC's prefixes included.
    bool ended = false;
    std::optional<uint32_t> reset;  // Error of RST_STREAM.
    uint64_t sent_bytes = 0;        // Of DATA that flow control let go.
  };
  struct Options {
    uint32_t max_streams = 100;
    bool open_windows = true;  // Whether bytes received are given back to flow control.
  };

  static std::shared_ptr<FakePeer> Start(boost::asio::io_context& context,
                                         std::unique_ptr<Stream> stream, Options options);
  ~FakePeer();

  // Headers of a gRPC response, or others. `end`: they are all.
  void SendHeaders(int32_t stream, const Fields& fields = GrpcHeaders(), bool end = false);
  void SendBytes(int32_t stream, std::string_view bytes);
  void SendMessage(int32_t stream, const v1::HandleResponse& message);
  // Ends the stream, after the bytes: with trailers, or without any.
  void SendTrailers(int32_t stream, const Fields& trailers = {{"grpc-status", "0"}});
  void EndWithoutTrailers(int32_t stream);
  void SendReset(int32_t stream, uint32_t error);
  void SendGoaway(int32_t last_stream, uint32_t error);
  void Close(Stream::How how);

  static Fields GrpcHeaders() { return {{":status", "200"}, {"content-type", "application/grpc"}}; }
  std::map<int32_t, Seen>& streams() { return streams_; }
  // The messages that came on a stream.
  std::vector<v1::HandleRequest> Messages(int32_t stream);
  bool connection_ended() const { return ended_; }
  // Notified at whatever comes.
  Event& changed() { return changed_; }

 private:
  struct Callbacks;
  // What is to be sent on one stream.
  struct Outgoing {
    std::string bytes;
    bool end = false;
    Fields trailers;
  };

  FakePeer(boost::asio::io_context& context, std::unique_ptr<Stream> stream, Options options);
  static Task<void> ReadLoop(std::shared_ptr<FakePeer> self);
  static Task<void> WriteLoop(std::shared_ptr<FakePeer> self);
  void Resume(int32_t stream);

  const std::unique_ptr<Stream> stream_;
  const Options options_;
  nghttp2_session* session_ = nullptr;
  std::map<int32_t, Seen> streams_;
  std::map<int32_t, Outgoing> outgoing_;
  Event changed_;
  Event output_ready_;
  bool ended_ = false;
};

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HANDLERS_FAKE_PEER_H_
