#include "agent/running_proxy.h"

#include <sys/stat.h>

#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/keep/kept.pb.h"
#include "common/base/deterministic.h"
#include "common/base/status.h"
#include "common/ipc/door.h"

namespace sallyport::agent {
namespace {

constexpr char kNamePrefix[] = "proxy-";
constexpr size_t kDescriptors = 3;

}  // namespace

RunningProxy::RunningProxy(ProxyProcess process, uint64_t serial,
                           std::chrono::milliseconds answer_timeout, UniqueFd session,
                           HandlerSockets::Check check, UniqueFd sockets)
    : process_(std::move(process)),
      serial_(serial),
      link_(std::move(session), answer_timeout),
      sockets_(std::move(check), std::move(sockets)) {}

absl::StatusOr<std::unique_ptr<RunningProxy>> RunningProxy::Start(const Program& program,
                                                                  uint64_t serial,
                                                                  HandlerSockets::Check check) {
  ASSIGN_OR_RETURN(ProxyProcess process,
                   ProxyProcess::Start(program.binary, program.arguments, program.life));
  absl::StatusOr<UniqueFd> session = OpenSession(process.door());
  if (!session.ok()) {
    // How it ended says more than that it takes no session.
    process.Kill();
    return absl::UnavailableError(
        absl::StrCat(process.Wait(), " (", session.status().message(), ")"));
  }
  return std::unique_ptr<RunningProxy>(new RunningProxy(std::move(process), serial,
                                                        program.answer_timeout, *std::move(session),
                                                        std::move(check), UniqueFd()));
}

absl::StatusOr<std::unique_ptr<RunningProxy>> RunningProxy::Find(FoundProxy found,
                                                                 const Program& program,
                                                                 HandlerSockets::Check check) {
  ASSIGN_OR_RETURN(UniqueFd session, OpenSession(found.door.get()));
  std::unique_ptr<RunningProxy> proxy(new RunningProxy(
      ProxyProcess(found.pid, std::move(found.process), std::move(found.door)), found.serial,
      program.answer_timeout, std::move(session), std::move(check), std::move(found.sockets)));
  proxy->kept_as_ = std::move(found.kept_as);
  return proxy;
}

absl::StatusOr<internal::Done> RunningProxy::Call(const internal::Command& command,
                                                  std::span<const int> fds) {
  if (lost_) return absl::UnavailableError("the proxy has failed");
  absl::StatusOr<internal::Done> done = link_.Call(command, fds);
  if (!done.ok()) {
    lost_ = true;
    Kill();
  }
  return done;
}

absl::Status RunningProxy::KeepIn(const FdStore& store, const std::string& build) {
  if (!store.exists()) return absl::OkStatus();
  internal::KeptProxy record;
  record.set_serial(serial_);
  record.set_pid(pid());
  record.set_build(build);
  std::string name = absl::StrCat(kNamePrefix, absl::Hex(serial_));
  const std::array<int, kDescriptors> fds = {process_.door(), handle(), sockets_.own().get()};
  RETURN_IF_ERROR(store.Keep(name, record.SerializeAsString(), fds));
  kept_as_ = std::move(name);
  return absl::OkStatus();
}

void RunningProxy::ForgetIn(const FdStore& store) const {
  if (!kept_as_.empty()) store.Forget(kept_as_);
}

bool IsKeptProxy(const std::string& name) { return name.starts_with(kNamePrefix); }

absl::StatusOr<FoundProxy> ReadProxy(const std::string& name, Parcel parcel) {
  internal::KeptProxy record;
  if (!record.ParseFromString(parcel.record) || parcel.fds.size() != kDescriptors) {
    return absl::InvalidArgumentError("it is no proxy");
  }
  FoundProxy found;
  found.kept_as = name;
  found.serial = record.serial();
  found.pid = record.pid();
  found.build = record.build();
  found.door = std::move(parcel.fds[0]);
  found.process = std::move(parcel.fds[1]);
  found.sockets = std::move(parcel.fds[2]);
  return found;
}

std::string BuildOf(const RunningProxy::Program& program, const internal::Configure& configure) {
  std::string build = program.binary;
  struct stat file;
  if (stat(program.binary.c_str(), &file) == 0) {
    absl::StrAppend(&build, "\n", file.st_dev, ":", file.st_ino, ":", file.st_size, ":",
                    file.st_mtim.tv_sec, ".", file.st_mtim.tv_nsec);
  }
  for (const std::string& argument : program.arguments) absl::StrAppend(&build, "\n", argument);
  absl::StrAppend(&build, "\n", DeterministicBytes(configure));
  return build;
}

}  // namespace sallyport::agent
