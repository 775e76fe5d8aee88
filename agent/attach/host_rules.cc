#include "agent/attach/host_rules.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>
#include <system_error>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "agent/attach/nft.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/base/strings.h"

namespace sallyport::agent {
namespace {

// The same each time: what is there already stays as it is, and rules are put in the place of the
// same ones.
//
// A flow's direction is that of its first packet, so what the container begins is `original`, and
// so is whatever follows it; `related` is not `established`. Its own neighbour discovery is for the
// host alone, and is not passed on.
constexpr char kSets[] = R"(
add table netdev sallyport_routed
add table bridge sallyport_routed
add set bridge sallyport_routed links { type iface_index; }
add table inet sallyport_routed
add set inet sallyport_routed v4 { type ipv4_addr; }
add set inet sallyport_routed v6 { type ipv6_addr; }
)";
constexpr char kChains[] = R"(
add chain bridge sallyport_routed forward { type filter hook forward priority -300; policy accept; }
flush chain bridge sallyport_routed forward
add rule bridge sallyport_routed forward meta iif @links drop
add chain inet sallyport_routed from_container
flush chain inet sallyport_routed from_container
add rule inet sallyport_routed from_container ct state established ct direction reply return
add rule inet sallyport_routed from_container counter drop
add chain inet sallyport_routed input { type filter hook input priority -150; policy accept; }
flush chain inet sallyport_routed input
add rule inet sallyport_routed input ip6 saddr @v6 ip6 hoplimit 255 icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
add rule inet sallyport_routed input ip saddr @v4 jump from_container
add rule inet sallyport_routed input ip6 saddr @v6 jump from_container
add chain inet sallyport_routed forward { type filter hook forward priority -150; policy accept; }
flush chain inet sallyport_routed forward
add rule inet sallyport_routed forward ip saddr @v4 jump from_container
add rule inet sallyport_routed forward ip6 saddr @v6 jump from_container
)";

std::string Set(const std::vector<std::string>& members) {
  return absl::StrCat("{ ", absl::StrJoin(members, ", "), " }");
}

std::string ChainOf(int index) { return absl::StrCat("netdev sallyport_routed link_", index); }

std::string RulesOf(const RoutedLink& link) {
  const std::string chain = ChainOf(link.index);
  const std::string rule = absl::StrCat("\nadd rule ", chain, " ether saddr ", link.mac, " ");
  std::string rules =
      absl::StrCat("add chain ", chain, " { type filter hook ingress device \"", link.name,
                   "\" priority -300; policy drop; }\nflush chain ", chain);
  if (!link.addresses.v4.empty()) {
    absl::StrAppend(&rules, rule, "arp saddr ether ", link.mac, " arp saddr ip ",
                    Set(link.addresses.v4), " accept");
    absl::StrAppend(&rules, rule, "ip saddr ", Set(link.addresses.v4), " accept");
  }
  if (!link.addresses.v6.empty()) {
    absl::StrAppend(&rules, rule, "ip6 saddr ", Set(link.addresses.v6), " accept");
  }
  if (!link.link_local.empty()) {
    absl::StrAppend(
        &rules, rule, "ip6 saddr ", Set(link.link_local),
        " ip6 hoplimit 255 icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept");
  }
  absl::StrAppend(&rules, "\n");
  return rules;
}

// `verb`: add, delete.
std::string Elements(std::string_view verb, std::string_view set,
                     const std::vector<std::string>& members) {
  if (members.empty()) return "";
  return StrCat(verb, " element ", set, " ", Set(members), "\n");
}

std::string MembersOf(const RoutedLink& link) {
  return absl::StrCat(Elements("add", "bridge sallyport_routed links", {absl::StrCat(link.index)}),
                      Elements("add", "inet sallyport_routed v4", link.addresses.v4),
                      Elements("add", "inet sallyport_routed v6", link.addresses.v6));
}

// Of members that may not be there.
std::string RemovalOf(std::string_view set, const std::vector<std::string>& members) {
  return absl::StrCat(Elements("add", set, members), Elements("delete", set, members));
}

std::string ToLine(const RoutedLink& link) {
  return absl::StrCat(link.name, " ", link.mac, " ", absl::StrJoin(link.addresses.v4, " "), " ",
                      absl::StrJoin(link.addresses.v6, " "), " ",
                      absl::StrJoin(link.link_local, " "), "\n");
}

bool IsLinkLocal(const std::string& address) {
  in6_addr bytes{};
  return inet_pton(AF_INET6, address.c_str(), &bytes) == 1 && IN6_IS_ADDR_LINKLOCAL(&bytes);
}

RoutedLink FromLine(int index, const std::string& line) {
  std::istringstream words(line);
  RoutedLink link;
  link.index = index;
  words >> link.name >> link.mac;
  for (std::string address; words >> address;) {
    if (address.find(':') == std::string::npos) {
      link.addresses.v4.push_back(address);
    } else {
      (IsLinkLocal(address) ? link.link_local : link.addresses.v6).push_back(address);
    }
  }
  return link;
}

bool IsThere(const RoutedLink& link) {
  return if_nametoindex(link.name.c_str()) == static_cast<unsigned>(link.index);
}

std::vector<std::string> But(std::vector<std::string> members,
                             const std::vector<std::string>& used) {
  std::erase_if(members, [&used](const std::string& one) {
    return std::ranges::find(used, one) != used.end();
  });
  return members;
}

}  // namespace

absl::StatusOr<std::unique_ptr<HostRules>> HostRules::Open(const std::string& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error)
    return absl::ErrnoToStatus(error.value(),
                               StrCat("cannot make the directory ", Quote(directory)));
  chmod(directory.c_str(), 0700);
  std::unique_ptr<HostRules> rules(new HostRules(directory));
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    int index = 0;
    std::ifstream file(entry.path());
    std::string line;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &index) || !std::getline(file, line))
      continue;
    RoutedLink link = FromLine(index, line);
    MutexLock lock(&rules->mutex_);
    rules->held_[index] = std::move(link);
  }
  rules->ForgetGone();
  return rules;
}

HostRules::~HostRules() {
  // Fails while there is a file in it.
  (void)rmdir(directory_.c_str());
}

std::string HostRules::PathOf(int index) const { return absl::StrCat(directory_, "/", index); }

absl::Status HostRules::WriteDown(const RoutedLink& link) const {
  std::ofstream file(PathOf(link.index), std::ios::trunc);
  file << ToLine(link) << std::flush;
  if (file.good()) return absl::OkStatus();
  return absl::InternalError(StrCat("cannot write ", Quote(PathOf(link.index))));
}

absl::StatusOr<std::vector<RoutedLink>> HostRules::Hold(std::vector<RoutedLink> links) {
  std::string commands = absl::StrCat(kSets, kChains);
  std::vector<std::string> addresses;
  MutexLock lock(&mutex_);
  for (RoutedLink& link : links) {
    // What the namespace says of itself counts once: root inside may have changed it since.
    if (const auto held = held_.find(link.index); held != held_.end()) link = held->second;
    // First: what is held and not written down would be held for ever.
    RETURN_IF_ERROR(WriteDown(link));
    held_[link.index] = link;
    absl::StrAppend(&commands, RulesOf(link), MembersOf(link));
    addresses.insert(addresses.end(), link.addresses.v4.begin(), link.addresses.v4.end());
    addresses.insert(addresses.end(), link.addresses.v6.begin(), link.addresses.v6.end());
  }
  RETURN_IF_ERROR(RunNft(commands));
  RETURN_IF_ERROR(ForgetFlowsTo(addresses));
  return links;
}

absl::Status HostRules::ForgetFlowsTo(const std::vector<std::string>& addresses) {
  if (!flows_.has_value()) {
    ASSIGN_OR_RETURN(flows_, FlowTable::Open());
  }
  absl::Status forgotten = flows_->ForgetFlowsTo(addresses);
  if (!forgotten.ok()) flows_.reset();
  return forgotten;
}

bool HostRules::Holds(int index) const {
  MutexLock lock(&mutex_);
  return held_.contains(index);
}

void HostRules::ForgetGone() {
  std::vector<int> gone;
  {
    MutexLock lock(&mutex_);
    for (const auto& [index, link] : held_) {
      if (!IsThere(link)) gone.push_back(index);
    }
  }
  for (const int index : gone) Forget(index);
}

void HostRules::Forget(int index) {
  MutexLock lock(&mutex_);
  const auto found = held_.find(index);
  if (found == held_.end()) return;
  const RoutedLink link = std::move(found->second);
  held_.erase(found);
  // A new interface may have its addresses already.
  OwnAddresses used;
  for (const auto& [_, other] : held_) {
    used.v4.insert(used.v4.end(), other.addresses.v4.begin(), other.addresses.v4.end());
    used.v6.insert(used.v6.end(), other.addresses.v6.begin(), other.addresses.v6.end());
  }
  // At once: whoever closes a netfilter socket after a deletion waits for an RCU grace period, and
  // so do others, such as those who take the container's network down.
  const absl::Status removed =
      RunNft(absl::StrCat(kSets, "add chain ", ChainOf(index), "\ndelete chain ", ChainOf(index),
                          "\n", RemovalOf("bridge sallyport_routed links", {absl::StrCat(index)}),
                          RemovalOf("inet sallyport_routed v4", But(link.addresses.v4, used.v4)),
                          RemovalOf("inet sallyport_routed v6", But(link.addresses.v6, used.v6))));
  if (!removed.ok()) {
    // Written down as before, for the next agent.
    LogWarning("rules of the interface ", link.name, " stay: ", removed.message());
    return;
  }
  std::error_code ignored;
  std::filesystem::remove(PathOf(index), ignored);
  LogInfo("the interface ", link.name, " is gone, and so are its rules");
}

}  // namespace sallyport::agent
