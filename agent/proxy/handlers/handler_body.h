// Bodies that go by way of a handler.

#ifndef SALLYPORT_AGENT_PROXY_HANDLERS_HANDLER_BODY_H_
#define SALLYPORT_AGENT_PROXY_HANDLERS_HANDLER_BODY_H_

#include <string>

#include "agent/proxy/body_sink.h"
#include "agent/proxy/handlers/conversation.h"
#include "agent/proxy/http/body.h"

namespace sallyport::proxy {

// What the handler sends: the body of its response, or of the request as the origin gets it. An
// error is the conversation's, which has failed then. Belongs to one worker.
class HandlerBody final : public BodyReader {
 public:
  // `conversation` outlives this, and the head of what the body belongs to has come.
  HandlerBody(HandlerConversation* conversation, Direction direction)
      : conversation_(conversation), direction_(direction) {}

  Task<absl::StatusOr<std::string_view>> Read() override;
  bool ReadyNow() override { return complete_ || conversation_->HasNext(direction_); }
  const Headers& trailers() const override { return trailers_; }

 private:
  HandlerConversation* const conversation_;
  const Direction direction_;
  std::string piece_;
  Headers trailers_;
  bool complete_ = false;
};

// Gives a body to the handler. Belongs to one worker.
class HandlerSink final : public BodySink {
 public:
  // `conversation` outlives this.
  HandlerSink(HandlerConversation* conversation, Direction direction)
      : conversation_(conversation), direction_(direction) {}

  Task<absl::Status> Write(std::string_view piece) override;
  Task<absl::Status> Finish(const Headers& trailers) override;
  void CutOff() override { conversation_->Cancel(); }

 private:
  HandlerConversation* const conversation_;
  const Direction direction_;
};

// Names in lower case.
void AddHeaders(const Headers& headers, google::protobuf::RepeatedPtrField<v1::Header>* list);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HANDLERS_HANDLER_BODY_H_
