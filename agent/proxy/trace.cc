#include "agent/proxy/trace.h"

#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace sallyport::proxy {
namespace {

constexpr std::string_view kHeader = "traceparent";

// "VV-TRACE-PARENT-FF".
constexpr size_t kVersionDigits = 2;
constexpr size_t kTraceAt = 3;
constexpr size_t kTraceDigits = 32;
constexpr size_t kParentAt = 36;
constexpr size_t kParentDigits = 16;
constexpr size_t kFlagsAt = 53;
constexpr size_t kFlagsDigits = 2;
constexpr size_t kLength = 55;

bool IsHex(std::string_view text) {
  return std::ranges::all_of(
      text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool IsZero(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c == '0'; });
}

bool IsLegal(std::string_view value) {
  if (value.size() < kLength) return false;
  const std::string_view version = value.substr(0, kVersionDigits);
  const std::string_view trace = value.substr(kTraceAt, kTraceDigits);
  const std::string_view parent = value.substr(kParentAt, kParentDigits);
  if (value[kTraceAt - 1] != '-' || value[kParentAt - 1] != '-' || value[kFlagsAt - 1] != '-')
    return false;
  if (!IsHex(version) || !IsHex(trace) || !IsHex(parent) ||
      !IsHex(value.substr(kFlagsAt, kFlagsDigits)))
    return false;
  if (version == "ff" || IsZero(trace) || IsZero(parent)) return false;
  return value.size() == kLength || (version != "00" && value[kLength] == '-');
}

// Ids of zeros alone are not legal; that a random one is such happens never, in practice.
template <size_t N>
std::string RandomHex() {
  std::array<uint8_t, N> bytes;
  RAND_bytes(bytes.data(), bytes.size());
  return absl::BytesToHexString({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

}  // namespace

void StartTrace(Headers* headers) {
  if (headers->Find(kHeader) != nullptr) return;
  headers->Add(kHeader, absl::StrCat("00-", RandomHex<kTraceDigits / 2>(), "-",
                                     RandomHex<kParentDigits / 2>(), "-01"));
}

std::string_view TraceId(const Headers& headers) {
  const std::string* const value = headers.Find(kHeader);
  if (value == nullptr || headers.Count(kHeader) != 1 || !IsLegal(*value)) return {};
  return std::string_view(*value).substr(kTraceAt, kTraceDigits);
}

}  // namespace sallyport::proxy
