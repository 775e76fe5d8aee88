#include "controlplane/fingerprint.h"

#include <cstdint>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/base/deterministic.h"

namespace sallyport {
namespace {

// FNV-1a, 128 bits.
class Hash {
 public:
  void Add(std::string_view bytes) {
    for (const char byte : bytes) value_ = (value_ ^ static_cast<uint8_t>(byte)) * kPrime;
  }
  std::string ToHex() const {
    return absl::StrCat(absl::Hex(static_cast<uint64_t>(value_ >> 64), absl::kZeroPad16),
                        absl::Hex(static_cast<uint64_t>(value_), absl::kZeroPad16));
  }

 private:
  using Value = unsigned __int128;
  static constexpr Value kPrime = (Value{1} << 88) + 0x13b;
  Value value_ = (Value{0x6c62272e07bb0142} << 64) + 0x62b821756295c58d;
};

}  // namespace

std::string Fingerprint(std::string_view method, const google::protobuf::Message& request) {
  const std::unique_ptr<google::protobuf::Message> content(request.New());
  content->CopyFrom(request);
  const auto* options = content->GetDescriptor()->FindFieldByName("options");
  if (options != nullptr) content->GetReflection()->ClearField(content.get(), options);
  Hash hash;
  hash.Add(method);
  hash.Add("\n");
  hash.Add(DeterministicBytes(*content));
  return hash.ToHex();
}

}  // namespace sallyport
