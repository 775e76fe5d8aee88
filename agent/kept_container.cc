#include "agent/kept_container.h"

#include <sys/random.h>

#include <utility>
#include <vector>

#include "agent/keep/kept.pb.h"
#include "common/builtin/secret_reference.h"

namespace sallyport::agent {
namespace {

size_t SocketsOf(const internal::KeptContainer& record) {
  return record.proxy_token().empty() ? 4 : 1;
}

internal::KeptContainer RecordOf(const KeptContainer& container) {
  const ProxyContainer& served = *container.served;
  internal::KeptContainer record;
  record.set_container_id(served.id);
  record.set_instance(served.instance);
  record.set_class_name(container.class_name);
  record.set_pid(container.pid);
  record.set_network_device(container.network.device);
  record.set_network_inode(container.network.inode);
  record.set_ephemeral(container.ephemeral);
  record.set_ca_certificate_pem(served.ca.certificate_pem);
  record.set_ca_certificate_der(served.ca.certificate_der);
  record.set_ca_private_key_der(served.ca.private_key_der);
  record.set_has_process(container.process.valid());
  record.set_has_audit_stream(served.audit_stream.valid());
  record.set_proxy_token(served.proxy_token);
  if (!served.params.fields().empty()) *record.mutable_params() = served.params;
  return record;
}

size_t DescriptorsOf(const internal::KeptContainer& record) {
  return SocketsOf(record) + (record.has_process() ? 1 : 0) + (record.has_audit_stream() ? 1 : 0);
}

}  // namespace

uint64_t NewInstance() {
  uint64_t instance = 0;
  while (instance == 0) {
    // Cannot fail for so few bytes once the system has started (getrandom(2)).
    (void)!getrandom(&instance, sizeof(instance), 0);
  }
  return instance;
}

absl::Status KeepContainer(const FdStore& store, const KeptContainer& container) {
  if (!store.exists()) return absl::OkStatus();
  std::vector<int> fds = container.served->sockets.Descriptors();
  if (container.process.valid()) fds.push_back(container.process.get());
  if (container.served->audit_stream.valid()) fds.push_back(container.served->audit_stream.get());
  internal::KeptContainer record = RecordOf(container);
  std::string bytes = record.SerializeAsString();
  const absl::Status kept = store.Keep(container.kept_as, bytes, fds);
  Wipe(&bytes);
  Wipe(record.mutable_ca_private_key_der());
  Wipe(record.mutable_proxy_token());
  return kept;
}

absl::StatusOr<KeptContainer> ReadContainer(const std::string& name, Parcel parcel) {
  internal::KeptContainer record;
  if (!record.ParseFromString(parcel.record) || parcel.fds.size() != DescriptorsOf(record)) {
    return absl::InvalidArgumentError("it is no container");
  }
  Wipe(&parcel.record);
  auto served = std::make_shared<ProxyContainer>();
  served->id = record.container_id();
  served->instance = record.instance();
  served->ca.certificate_pem = record.ca_certificate_pem();
  served->ca.certificate_der = record.ca_certificate_der();
  served->ca.private_key_der = record.ca_private_key_der();
  Wipe(record.mutable_ca_private_key_der());
  served->proxy_token = record.proxy_token();
  served->params = record.params();
  if (served->proxy_token.empty()) {
    served->sockets = {std::move(parcel.fds[0]), std::move(parcel.fds[1]), std::move(parcel.fds[2]),
                       std::move(parcel.fds[3])};
  } else {
    served->sockets.tcp_v4 = std::move(parcel.fds[0]);
  }
  if (record.has_audit_stream()) served->audit_stream = std::move(parcel.fds.back());
  KeptContainer container;
  container.kept_as = name;
  if (record.has_process()) container.process = std::move(parcel.fds[SocketsOf(record)]);
  container.served = std::move(served);
  container.class_name = record.class_name();
  container.network = {record.network_device(), record.network_inode()};
  container.pid = record.pid();
  container.ephemeral = record.ephemeral();
  return container;
}

}  // namespace sallyport::agent
