// Policy from the control plane into a file.

#include "cli/command.h"
#include "cli/export.h"
#include "cli/policy/write.h"
#include "cli/yaml/print.h"

namespace sallyport::cli {
namespace {

int RunExport(const Arguments& arguments) {
  FlagSet flags("sallyport export",
                "Prints what the control plane holds as a policy file: applying it to an empty "
                "control plane gives the same policy. Sorted by name.");
  flags.set_example("sallyport export > policy.yaml");
  CommonFlags common;
  ExportFilter filter;
  common.AddTo(&flags);
  flags.String("class", &filter.class_name, "NAME",
               "Only this class, its containers, and the handlers that they name.");
  flags.String("container", &filter.container_id, "ID",
               "Only this container, its class, and the handlers that they name.");
  flags.ParseOrExit(arguments);
  if (!filter.class_name.empty() && !filter.container_id.empty())
    return WrongUsage("export", "give --class or --container, not both");
  const Connection connection(Connection::Server::kControlPlane, common);
  v1::ApplyPolicyRequest policy;
  const int exit = Export(connection, filter, &policy);
  if (exit != kDone) return exit;
  if (common.json) {
    PrintJson(policy);
    return kDone;
  }
  yaml::Node root = PolicyToYaml(policy.handlers(), policy.classes(), policy.containers());
  // So that the export of an empty control plane is a policy file, too.
  if (root.children.empty()) root.Add("classes", yaml::Node::Mapping());
  std::printf("%s", yaml::Print(root).c_str());
  return kDone;
}

}  // namespace

void AddExportCommand(std::vector<Command>* commands) {
  commands->push_back({"export", "Prints the whole policy as a policy file.", RunExport});
}

}  // namespace sallyport::cli
