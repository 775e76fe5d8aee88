// Checks that classes, containers' rules, handlers and edits share. Limits are per object.

#ifndef SALLYPORT_COMMON_POLICY_VALIDATE_H_
#define SALLYPORT_COMMON_POLICY_VALIDATE_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "common/policy/problems.h"
#include "proto/sallyport/v1/policy.pb.h"

namespace sallyport {

// Entries of a list or rules of a tier; how many of them may be globs or networks, which are tried
// one by one.
inline constexpr int kMaxEntries = 100'000;
inline constexpr int kMaxPatterns = 1'000;
inline constexpr int kMaxParamsJson = 64 * 1024;
inline constexpr int kMaxDenyBody = 64 * 1024;
inline constexpr int kMaxHttpPorts = 64;
inline constexpr int kMaxEndpoints = 64;
// Of one class or one container's rules. Larger ones would not fit in a message to an agent.
inline constexpr size_t kMaxResourceBytes = 8 << 20;

// INVALID_ARGUMENT "FIELD: MESSAGE".
absl::Status InvalidField(std::string_view field_path, std::string_view message);
// The same for an error that a parser gave; OK stays OK.
absl::Status AtField(std::string_view field_path, const absl::Status& status);

// "hosts[2]".
std::string Element(std::string_view field_path, int index);

// A Struct that is a JSON object: every value set, every number finite, nested at most 25 deep, at
// most 64 KiB as JSON.
absl::Status ValidateParams(std::string_view field_path, const google::protobuf::Struct& params);

absl::Status ValidateReference(std::string_view field_path, const v1::HandlerReference& reference);
void CheckReference(std::string_view field_path, const v1::HandlerReference& reference,
                    Problems* problems);

// The canonical text of a host pattern; empty, and a problem, if it is none.
std::string CanonicalPattern(std::string_view field_path, std::string_view text,
                             Problems* problems);

// A list of so many is not looked at entry by entry. False: a problem was added.
bool CheckCount(std::string_view field_path, int entries, Problems* problems);

// Patterns to canonical text; the first of equal ones stays.
void NormalisePatterns(std::string_view field_path,
                       google::protobuf::RepeatedPtrField<std::string>* patterns,
                       Problems* problems);

// Hosts to canonical text. Rules may not name a host twice: which of the two was meant cannot be
// told.
void NormaliseRules(std::string_view field_path,
                    google::protobuf::RepeatedPtrField<v1::HostRule>* rules, Problems* problems);

// Counts the entries of one list, and how many of them are globs or networks. The first that is too
// many is a problem.
class EntryLimit {
 public:
  EntryLimit(std::string_view field_path, Problems* problems)
      : field_path_(field_path), problems_(problems) {}
  // `canonical`: text of a Pattern.
  void Add(std::string_view canonical);

 private:
  const std::string_view field_path_;
  Problems* const problems_;
  int entries_ = 0;
  int patterns_ = 0;
};

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_POLICY_VALIDATE_H_
