// Where a Request's body comes from.

#ifndef SALLYPORT_SDK_CPP_BODY_SOURCE_H_
#define SALLYPORT_SDK_CPP_BODY_SOURCE_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"

namespace sallyport {
inline namespace handler_sdk {

// Used by the handler's thread only.
class BodySource {
 public:
  virtual ~BodySource() = default;
  // See Request::ReadPiece.
  virtual absl::StatusOr<std::optional<std::string>> NextPiece() = 0;
};

}  // namespace handler_sdk
}  // namespace sallyport

#endif  // SALLYPORT_SDK_CPP_BODY_SOURCE_H_
