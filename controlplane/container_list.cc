#include "controlplane/container_list.h"

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "common/base/strings.h"
#include "common/policy/effective_policy.h"
#include "common/policy/problems.h"
#include "controlplane/container_status.h"
#include "controlplane/fingerprint.h"

namespace sallyport {
namespace {

constexpr int kMaxPage = 1'000;
// gRPC's clients take messages of 4 MiB unless told otherwise.
constexpr size_t kPageBytes = 3 << 20;
constexpr size_t kFingerprintBytes = 32;

// A token is the last id of the page before, sealed with the filters, so that one that is cut
// short, made up, or of other filters is told from a good one.
std::string Seal(const v1::ListContainersRequest& request, const std::string& last_id) {
  v1::ListContainersRequest filters = request;
  filters.clear_page_size();
  filters.clear_page_token();
  return Fingerprint(StrCat("ListContainers ", last_id), filters);
}

std::string MakeToken(const v1::ListContainersRequest& request, const std::string& last_id) {
  return absl::WebSafeBase64Escape(Seal(request, last_id) + last_id);
}

// The id in the request's token, "" if it has none.
std::string ReadToken(const v1::ListContainersRequest& request, Problems* problems) {
  if (request.page_token().empty()) return "";
  std::string token;
  if (absl::WebSafeBase64Unescape(request.page_token(), &token) &&
      token.size() > kFingerprintBytes) {
    const std::string last_id = token.substr(kFingerprintBytes);
    if (token.substr(0, kFingerprintBytes) == Seal(request, last_id)) return last_id;
  }
  problems->Add("page_token",
                "is no token that this list gave for these filters; write the next_page_token of "
                "the page before with the same filters, or none to begin anew");
  return "";
}

// What holds for an id holds for its beginnings.
bool BeginsId(const std::string& text) { return text.empty() || ValidateContainerId(text).ok(); }

// Ids that pass the filters that cost little, after `last_id`; a heap with the smallest on top.
std::vector<std::string> Candidates(const State& state, const v1::ListContainersRequest& request,
                                    const std::string& last_id) {
  std::vector<std::string> ids;
  const auto add = [&](const std::string& id, const ContainerRecord& record) {
    if (id <= last_id || !id.starts_with(request.id_prefix())) return;
    if (!request.class_name().empty() && record.value.class_name() != request.class_name()) return;
    ids.push_back(id);
  };
  if (request.host().empty()) {
    state.containers.ForEach(add);
  } else if (const auto placed = state.hosts.Find(request.host())) {
    for (const std::string& id : *placed) {
      if (const auto record = state.containers.Find(id)) add(id, *record);
    }
  }
  std::make_heap(ids.begin(), ids.end(), std::greater<>());
  return ids;
}

bool IsNotEnforced(const v1::ContainerStatus& status) {
  return !status.host().empty() &&
         (status.enforced_revision() < status.stored_revision() || !status.rejection().empty());
}

}  // namespace

absl::Status FillContainerList(const State& state, const Waiters& waiters,
                               const v1::ListContainersRequest& request,
                               v1::ListContainersResponse* response) {
  Problems problems;
  if (!request.class_name().empty()) {
    problems.Add(ValidateName("class_name", request.class_name()));
  }
  if (!BeginsId(request.id_prefix())) {
    problems.Add("id_prefix", StrCat(Quote(request.id_prefix()), " is the beginning of no id; ids ",
                                     "are letters, digits and any of -_.:, 128 at most"));
  }
  if (request.page_size() < 0) {
    problems.Add("page_size", "is negative; write 1 to 1000, or 0 for 1000");
  }
  const std::string last_id = ReadToken(request, &problems);
  if (!problems.empty()) return problems.ToStatus();

  const int page_size =
      request.page_size() == 0 ? kMaxPage : std::min(request.page_size(), kMaxPage);
  std::vector<std::string> ids = Candidates(state, request, last_id);
  size_t bytes = 0;
  while (!ids.empty()) {
    std::pop_heap(ids.begin(), ids.end(), std::greater<>());
    const auto record = state.containers.Find(ids.back());
    ids.pop_back();
    v1::ContainerStatus status = MakeContainerStatus(state, *record, waiters);
    if (request.not_enforced() && !IsNotEnforced(status)) continue;
    bytes += status.ByteSizeLong();
    const int listed = response->containers_size();
    if (listed == page_size || (listed > 0 && bytes > kPageBytes)) {
      response->set_next_page_token(
          MakeToken(request, response->containers(listed - 1).policy().container_id()));
      break;
    }
    *response->add_containers() = std::move(status);
  }
  return absl::OkStatus();
}

}  // namespace sallyport
