// From what a handler answers to the wire.

#ifndef SALLYPORT_SDK_CPP_ANSWER_WRITER_H_
#define SALLYPORT_SDK_CPP_ANSWER_WRITER_H_

#include <functional>
#include <string>

#include "proto/sallyport/v1/handler.pb.h"
#include "sdk/cpp/sallyport/handler.h"

namespace sallyport {
inline namespace handler_sdk {

class AnswerWriter {
 public:
  static v1::HandleResponse Message(const Forward& forward);
  static v1::HandleResponse Head(const Respond& respond);
  // `has_body`: the origin's response.
  static v1::HandleResponse Message(const Pass& pass, bool has_body);
  // Whether the call goes on after the Forward.
  static bool GoesOn(const Forward& forward);
  static bool HasBody(const Forward& forward);
  static const std::string& Body(const Respond& respond);
  // Empty: the body is Body().
  static const std::function<void(BodyWriter&)>& Stream(const Respond& respond);
};

}  // namespace handler_sdk
}  // namespace sallyport

#endif  // SALLYPORT_SDK_CPP_ANSWER_WRITER_H_
