#include "controlplane/store/state.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace sallyport {
namespace {

template <typename Policy>
std::set<std::string> HandlersByHost(const Policy& policy) {
  std::set<std::string> names;
  for (const v1::HostRule& rule : policy.outbound_by_host()) names.insert(rule.handler().handler());
  if (policy.has_outbound()) names.insert(policy.outbound().handler());
  return names;
}

std::string RingPlace(uint64_t number) { return std::to_string(number % kMaxRequests); }

}  // namespace

void State::SetClass(v1::ContainerClass value, uint64_t revision_of_change) {
  const std::string name = value.name();
  const std::set<std::string> names = HandlersByHost(value);
  classes.Set(name, std::make_shared<ClassRecord>(ClassRecord{
                        std::move(value), revision_of_change, {names.begin(), names.end()}}));
}

void State::SetContainer(v1::ContainerPolicy value, uint64_t revision_of_change) {
  const std::string id = value.container_id();
  std::set<std::string> names = HandlersByHost(value);
  for (const v1::InterceptRule& rule : value.intercepts()) names.insert(rule.handler().handler());
  containers.Set(id, std::make_shared<ContainerRecord>(ContainerRecord{
                         std::move(value), revision_of_change, {names.begin(), names.end()}}));
}

void State::SetHandler(v1::Handler value, uint64_t revision_of_change) {
  const std::string name = value.name();
  std::set<std::string> secrets_used;
  for (const v1::SetHeader& header : value.builtin().set_headers()) {
    if (header.secret().has_secret()) secrets_used.insert(header.secret().secret());
  }
  handlers.Set(
      name, std::make_shared<HandlerRecord>(HandlerRecord{
                std::move(value), revision_of_change, {secrets_used.begin(), secrets_used.end()}}));
}

void State::SetSecret(const std::string& name, std::string sealed, uint64_t revision_of_change) {
  secrets.Set(name,
              std::make_shared<SecretRecord>(SecretRecord{std::move(sealed), revision_of_change}));
}

void State::Place(const std::string& container_id, const std::string& host, Stay stay) {
  Unplace(container_id);
  if (stay == Stay::kEphemeral) ephemerals.Set(container_id, std::make_shared<Stay>(stay));
  placements.Set(container_id, std::make_shared<std::string>(host));
  const auto before = hosts.Find(host);
  auto after = before == nullptr ? std::make_shared<std::set<std::string>>()
                                 : std::make_shared<std::set<std::string>>(*before);
  after->insert(container_id);
  hosts.Set(host, std::move(after));
}

void State::Unplace(const std::string& container_id) {
  const auto host = placements.Find(container_id);
  if (host == nullptr) return;
  placements.Erase(container_id);
  ephemerals.Erase(container_id);
  auto after = std::make_shared<std::set<std::string>>(*hosts.Find(*host));
  after->erase(container_id);
  if (after->empty()) {
    hosts.Erase(*host);
  } else {
    hosts.Set(*host, std::move(after));
  }
}

Stay State::StayOf(const std::string& container_id) const {
  return ephemerals.Find(container_id) == nullptr ? Stay::kLasting : Stay::kEphemeral;
}

std::shared_ptr<const std::string> State::RequestInPlaceOf(uint64_t number) const {
  return request_ring.Find(RingPlace(number));
}

void State::SetRequest(const std::string& id, RequestRecord record) {
  last_request = std::max(last_request, record.number);
  request_ring.Set(RingPlace(record.number), std::make_shared<std::string>(id));
  requests.Set(id, std::make_shared<RequestRecord>(std::move(record)));
}

}  // namespace sallyport
