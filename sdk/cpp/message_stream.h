// A call as its messages.

#ifndef SALLYPORT_SDK_CPP_MESSAGE_STREAM_H_
#define SALLYPORT_SDK_CPP_MESSAGE_STREAM_H_

#include "proto/sallyport/v1/handler.pb.h"

namespace sallyport {
inline namespace handler_sdk {

// Used by the handler's thread only. Both wait.
class MessageStream {
 public:
  virtual ~MessageStream() = default;
  // The next message, until the next call; null: the proxy has ended the call.
  virtual v1::HandleRequest* ReadMessage() = 0;
  // False: nobody listens any more.
  virtual bool WriteMessage(v1::HandleResponse message) = 0;
};

}  // namespace handler_sdk
}  // namespace sallyport

#endif  // SALLYPORT_SDK_CPP_MESSAGE_STREAM_H_
