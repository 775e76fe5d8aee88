// What a request id stands for: the method and the content of one call.

#ifndef SALLYPORT_CONTROLPLANE_FINGERPRINT_H_
#define SALLYPORT_CONTROLPLANE_FINGERPRINT_H_

#include <google/protobuf/message.h>

#include <string>
#include <string_view>

namespace sallyport {

// 32 hexadecimal digits. The same for equal requests to the same method; the request's `options` do
// not count. Against mistakes, not against an attacker: who may call may also change policy.
std::string Fingerprint(std::string_view method, const google::protobuf::Message& request);

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_FINGERPRINT_H_
