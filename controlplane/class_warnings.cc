#include "controlplane/class_warnings.h"

#include "common/base/strings.h"

namespace sallyport {
namespace {

class Warnings {
 public:
  explicit Warnings(const State& state) : state_(state) {}

  void CheckPattern(const std::string& path, const std::string& pattern) {
    if (!pattern.ends_with(".*")) return;
    const std::string name = pattern.substr(0, pattern.size() - 2);
    sentences_.push_back(StrCat(path, ": ", Quote(pattern), " crosses a public suffix: it also ",
                                "matches ", Quote(StrCat(name, ".evil.example")),
                                ", which anyone may own; write each name out, as ",
                                Quote(StrCat(name, ".com"))));
  }

  void CheckHandler(const std::string& path, const std::string& handler) {
    if (state_.handlers.Find(handler) != nullptr) return;
    sentences_.push_back(StrCat(path, ": handler ", Quote(handler), " is not registered; requests ",
                                "for it are refused with handler_missing until it is"));
  }

  void SayMonitored(const std::string& path) {
    sentences_.push_back(
        path +
        ".monitor: is on: nothing that the lists and enable_internet refuse is stopped, it is "
        "only recorded; set it to false to enforce them");
  }

  std::vector<std::string> Take() { return std::move(sentences_); }

 private:
  const State& state_;
  std::vector<std::string> sentences_;
};

}  // namespace

std::vector<std::string> ClassWarnings(const std::string& path,
                                       const v1::ContainerClass& container_class,
                                       const State& state) {
  Warnings warnings(state);
  if (container_class.monitor()) warnings.SayMonitored(path);
  const auto element = [&path](const char* field, int index) {
    return StrCat(path, ".", field, "[", index, "]");
  };
  for (int i = 0; i < container_class.allowed_hosts().hosts_size(); ++i) {
    warnings.CheckPattern(element("allowed_hosts", i), container_class.allowed_hosts().hosts(i));
  }
  for (int i = 0; i < container_class.outbound_by_host_size(); ++i) {
    const v1::HostRule& rule = container_class.outbound_by_host(i);
    warnings.CheckPattern(element("outbound_by_host", i) + ".host", rule.host());
    warnings.CheckHandler(element("outbound_by_host", i) + ".handler", rule.handler().handler());
  }
  if (container_class.has_outbound()) {
    warnings.CheckHandler(path + ".outbound", container_class.outbound().handler());
  }
  for (int i = 0; i < container_class.tls_passthrough_hosts_size(); ++i) {
    warnings.CheckPattern(element("tls_passthrough_hosts", i),
                          container_class.tls_passthrough_hosts(i));
  }
  return warnings.Take();
}

}  // namespace sallyport
