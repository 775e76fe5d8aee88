#ifndef SALLYPORT_COMMON_BASE_DETERMINISTIC_H_
#define SALLYPORT_COMMON_BASE_DETERMINISTIC_H_

#include <string>

namespace google::protobuf {
class MessageLite;
}

namespace sallyport {

// As SerializeAsString(), but equal messages have equal bytes: the order of a map's entries is
// otherwise any. Another version of protobuf may give others.
std::string DeterministicBytes(const google::protobuf::MessageLite& message);

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_BASE_DETERMINISTIC_H_
