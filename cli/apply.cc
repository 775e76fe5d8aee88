#include "cli/apply.h"

#include <chrono>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/strings.h"
#include "proto/sallyport/v1/admin.grpc.pb.h"

namespace sallyport::cli {
namespace {

// The longest wait for enforcement there is, and some time to store.
constexpr std::chrono::seconds kCallTime{70};

v1::ApplyPolicyRequest ToRequest(const PolicyFile& file) {
  v1::ApplyPolicyRequest request;
  for (const auto& handler : file.handlers) *request.add_handlers() = handler.value;
  for (const auto& value : file.classes) *request.add_classes() = value.value;
  for (const auto& container : file.containers) *request.add_containers() = container.value;
  return request;
}

// "FILE:LINE:COLUMN: " of "classes[0].outbound", if `kind` is "classes" and there is one.
template <typename T>
std::string Place(std::string_view path, std::string_view kind,
                  const std::vector<Written<T>>& parts) {
  const size_t close = path.find(']');
  if (!path.starts_with(StrCat(kind, "[")) || close == std::string_view::npos) return "";
  size_t index = 0;
  const std::string_view digits = path.substr(kind.size() + 1, close - kind.size() - 1);
  if (!absl::SimpleAtoi(ToAbsl(digits), &index) || index >= parts.size()) return "";
  const std::string_view rest = path.substr(close + 1);
  const yaml::Mark mark = parts[index].marks.Find(rest.starts_with('.') ? rest.substr(1) : rest);
  return StrCat(parts[index].file, ":", mark.line, ":", mark.column, ": ");
}

}  // namespace

std::string WithPlaces(const PolicyFile& file, std::string_view message) {
  std::vector<std::string> lines;
  for (const absl::string_view line : absl::StrSplit(ToAbsl(message), '\n')) {
    const std::string_view path = ToStd(line.substr(0, line.find(": ")));
    lines.push_back(StrCat(Place(path, "handlers", file.handlers),
                           Place(path, "classes", file.classes),
                           Place(path, "containers", file.containers), ToStd(line)));
  }
  return absl::StrJoin(lines, "\n");
}

int ApplyPolicyFile(const Connection& connection, const PolicyFile& file, ApplyMode mode,
                    const v1::MutationOptions& options, v1::ApplyPolicyResponse* response) {
  v1::ApplyPolicyRequest request = ToRequest(file);
  request.set_dry_run(mode == ApplyMode::kDryRun);
  *request.mutable_options() = options;
  const auto stub = v1::OutboundPolicy::NewStub(connection.channel());
  const grpc::Status status = stub->ApplyPolicy(ContextFor(kCallTime).get(), request, response);
  if (status.ok()) return kDone;
  return connection.Report(
      grpc::Status(status.error_code(), WithPlaces(file, status.error_message())));
}

}  // namespace sallyport::cli
