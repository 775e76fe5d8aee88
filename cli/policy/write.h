// Policy to YAML, so that reading it gives the same again.

#ifndef SALLYPORT_CLI_POLICY_WRITE_H_
#define SALLYPORT_CLI_POLICY_WRITE_H_

#include "cli/yaml/node.h"
#include "proto/sallyport/v1/policy.pb.h"

namespace sallyport::cli {

// What stands below the name. REQUIRES: normalised by the control plane.
yaml::Node ToYaml(const v1::Handler& handler);
yaml::Node ToYaml(const v1::Builtin& builtin);
yaml::Node ToYaml(const v1::ContainerClass& value);
yaml::Node ToYaml(const v1::ContainerPolicy& container);

// A policy file with these parts, in this order.
template <typename Handlers, typename Classes, typename Containers>
yaml::Node PolicyToYaml(const Handlers& handlers, const Classes& classes,
                        const Containers& containers) {
  yaml::Node root = yaml::Node::Mapping();
  const auto add = [&](const char* kind, const auto& values, const auto& name_of) {
    if (values.empty()) return;
    yaml::Node& part = root.Add(kind, yaml::Node::Mapping());
    for (const auto& value : values) part.Add(name_of(value), ToYaml(value));
  };
  add("handlers", handlers, [](const v1::Handler& value) { return value.name(); });
  add("classes", classes, [](const v1::ContainerClass& value) { return value.name(); });
  add("containers", containers,
      [](const v1::ContainerPolicy& value) { return value.container_id(); });
  return root;
}

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_POLICY_WRITE_H_
