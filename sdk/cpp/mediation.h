// A call after a Forward that it stays part of: bodies to transform, an answer to inspect.

#ifndef SALLYPORT_SDK_CPP_MEDIATION_H_
#define SALLYPORT_SDK_CPP_MEDIATION_H_

#include "absl/status/status.h"
#include "sdk/cpp/message_stream.h"
#include "sdk/cpp/sallyport/handler.h"

namespace sallyport {
inline namespace handler_sdk {

// One thread for both directions: each message is dealt with before the next is read, so that
// neither direction can wait for the other.
class Mediation {
 public:
  // `stream` outlives this. `body_ended`: the request's body has been read to its end.
  Mediation(MessageStream* stream, Forward forward, bool body_ended)
      : stream_(*stream), forward_(std::move(forward)), body_ended_(body_ended) {}

  // Says the Forward, and does what it promises until there is no more to do. CANCELLED: the
  // proxy has ended the call. What user code throws passes.
  absl::Status Run();

 private:
  class Writer;

  absl::Status OnMessage(v1::HandleRequest* message);
  absl::Status OnResponse(v1::OriginResponse response);
  bool EndRequest(const v1::End& received);
  bool SendOwnBody();
  bool SendInPlace(const Respond& respond);

  MessageStream& stream_;
  const Forward forward_;
  bool body_ended_;
  bool request_open_ = false;
  bool response_open_ = false;
  BodyTransform transform_response_;
};

}  // namespace handler_sdk
}  // namespace sallyport

#endif  // SALLYPORT_SDK_CPP_MEDIATION_H_
