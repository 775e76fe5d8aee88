// A call after a Forward that it stays part of: bodies to transform, an answer to inspect.

#ifndef SALLYPORT_SDK_CPP_MEDIATION_H_
#define SALLYPORT_SDK_CPP_MEDIATION_H_

#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "sdk/cpp/body_source.h"
#include "sdk/cpp/message_stream.h"
#include "sdk/cpp/sallyport/handler.h"

namespace sallyport {
inline namespace handler_sdk {

// One thread for both directions: each message is dealt with before the next is read, so that
// neither direction can wait for the other. The response's body may be read while it is inspected.
class Mediation final : private BodySource {
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
  // The response's.
  absl::StatusOr<std::optional<std::string>> NextPiece() override;
  absl::Status PassOn(Pass pass, bool has_body);
  bool EndResponse(const v1::End& received);
  bool SendInPlace(const Respond& respond);

  MessageStream& stream_;
  const Forward forward_;
  bool body_ended_;
  bool request_open_ = false;
  bool response_open_ = false;
  bool inspected_ = false;
  bool response_asked_ = false;          // For its body.
  std::optional<v1::End> response_end_;  // Once the body has been read.
  BodyTransform transform_response_;
};

}  // namespace handler_sdk
}  // namespace sallyport

#endif  // SALLYPORT_SDK_CPP_MEDIATION_H_
