// Fields of a policy file, read with their types; what is wrong is noted, and reading goes on.

#ifndef SALLYPORT_CLI_POLICY_FIELD_READER_H_
#define SALLYPORT_CLI_POLICY_FIELD_READER_H_

#include <google/protobuf/repeated_field.h>

#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "cli/yaml/node.h"

namespace sallyport::cli {

// Where the fields of one handler, class or container stand in a file, by the paths that validation
// uses: "outbound_by_host[2].host".
class FieldMarks {
 public:
  void Set(std::string path, yaml::Mark mark) { marks_.insert_or_assign(std::move(path), mark); }
  // Of the field, or of the nearest that encloses it. The path "" is the object itself.
  yaml::Mark Find(std::string_view path) const;

 private:
  absl::flat_hash_map<std::string, yaml::Mark> marks_;
};

class FieldReader {
 public:
  FieldReader(yaml::Problems* problems, FieldMarks* marks) : problems_(problems), marks_(marks) {}

  void Fail(const yaml::Node& node, std::string what) {
    problems_->push_back({node.mark, std::move(what)});
  }

  using Read = std::function<void(const yaml::Node& value)>;
  struct Field {
    std::string_view name;
    Read read;
  };
  // Each key goes to its field; unknown ones are a problem. `path`: of the mapping, "" for the
  // object itself. False: it is no mapping.
  bool Mapping(const yaml::Node& node, std::string_view what, const std::string& path,
               std::initializer_list<Field> fields);
  void Sequence(
      const yaml::Node& node, const std::string& path,
      const std::function<void(const yaml::Node& item, const std::string& item_path)>& read);

  // Empty, false and 0 after a problem.
  std::string Text(const yaml::Node& node);
  bool Boolean(const yaml::Node& node);
  uint32_t Number(const yaml::Node& node);
  void Texts(const yaml::Node& node, const std::string& path,
             google::protobuf::RepeatedPtrField<std::string>* into);

  FieldMarks& marks() { return *marks_; }

 private:
  yaml::Problems* const problems_;
  FieldMarks* const marks_;
};

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_POLICY_FIELD_READER_H_
