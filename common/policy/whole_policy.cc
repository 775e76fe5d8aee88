#include "common/policy/whole_policy.h"

#include <string>

#include "absl/container/flat_hash_map.h"
#include "common/base/strings.h"
#include "common/policy/normalise.h"
#include "common/policy/validate.h"

namespace sallyport {
namespace {

// Says where a name was seen first, if it was.
class Names {
 public:
  Names(const char* list, const char* field, Problems* problems)
      : list_(list), field_(field), problems_(problems) {}

  void Add(int index, const std::string& name) {
    const auto [first, is_new] = first_.try_emplace(name, index);
    if (is_new || name.empty()) return;
    problems_->Add(Member(Element(list_, index), field_),
                   StrCat(Quote(name), " is given by ", Element(list_, first->second),
                          " already; write it once"));
  }

 private:
  const char* const list_;
  const char* const field_;
  Problems* const problems_;
  absl::flat_hash_map<std::string, int> first_;
};

}  // namespace

void NormalisePolicy(v1::ApplyPolicyRequest* request, Problems* problems) {
  Names handlers("handlers", "name", problems);
  for (int i = 0; i < request->handlers_size(); ++i) {
    NormaliseHandler(Element("handlers", i), request->mutable_handlers(i), problems);
    handlers.Add(i, request->handlers(i).name());
  }
  Names classes("classes", "name", problems);
  for (int i = 0; i < request->classes_size(); ++i) {
    NormaliseClass(Element("classes", i), request->mutable_classes(i), problems);
    classes.Add(i, request->classes(i).name());
  }
  Names containers("containers", "container_id", problems);
  for (int i = 0; i < request->containers_size(); ++i) {
    NormaliseContainer(Element("containers", i), request->mutable_containers(i), problems);
    containers.Add(i, request->containers(i).container_id());
  }
}

}  // namespace sallyport
