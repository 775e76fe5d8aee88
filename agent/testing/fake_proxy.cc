// A proxy in name only: speaks agent/proxy/control.proto, writes down what it is told, and fails
// where it is asked to.
//
//   --log=FILE              if given: one line a command: "COMMAND DETAILS fds=N"; "start" when it
//   starts
//   --refuse=ID             AddContainer of ID is answered with an error
//   --reject=NAME           resources of that name are rejected
//   --die-once-on=COMMAND   exits instead of answering, the first time: while there is no file
//   FILE.died
//   --hang-once-on=COMMAND  never answers, the first time
//   --exit=STATUS           exits at once
//   --linger=yes            does not exit when it is told to drain
//
// It answers each connection to its TCP listeners with "PID\n".

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/proxy/control.pb.h"
#include "common/builtin/secret_reference.h"
#include "common/ipc/door.h"
#include "common/ipc/frame.h"

namespace sallyport::agent {
namespace {

constexpr int kDoor = 3;

class FakeProxy {
 public:
  explicit FakeProxy(std::map<std::string, std::string> flags) : flags_(std::move(flags)) {}

  int Run() {
    if (flags_.contains("exit")) return std::atoi(flags_["exit"].c_str());
    // An environment of one's own would be noted.
    Log(absl::StrCat("start", environ[0] == nullptr ? "" : " environment"));
    for (;;) {
      std::vector<pollfd> waiting = {{kDoor, POLLIN, 0}, {session_.get(), POLLIN, 0}};
      for (const auto& [id, fds] : containers_) {
        waiting.push_back({fds[0].get(), POLLIN, 0});
        waiting.push_back({fds[1].get(), POLLIN, 0});
      }
      if (poll(waiting.data(), waiting.size(), -1) < 0) continue;
      for (size_t i = 2; i < waiting.size(); ++i) {
        if (waiting[i].revents != 0) Greet(waiting[i].fd);
      }
      if (waiting[0].revents != 0) {
        absl::StatusOr<UniqueFd> session = TakeSession(kDoor);
        if (!session.ok()) return 0;
        session_ = *std::move(session);
        internal::Event event;
        event.mutable_ready()->set_configured(configured_);
        event.mutable_ready()->set_draining(draining_);
        Send(event);
        continue;
      }
      if (waiting[1].revents == 0) continue;
      absl::StatusOr<Frame> frame = ReceiveFrame(session_.get());
      if (!frame.ok()) {
        session_.Reset();
        continue;
      }
      internal::Command command;
      if (!command.ParseFromString(frame->payload)) return 1;
      Obey(command, std::move(frame->fds));
      if (draining_ && !flags_.contains("linger")) return 0;
    }
  }

 private:
  void Obey(const internal::Command& command, std::vector<UniqueFd> fds) {
    internal::Event event;
    internal::Done* const done = event.mutable_done();
    done->set_sequence(command.sequence());
    const std::string count = absl::StrCat(" fds=", fds.size());
    switch (command.command_case()) {
      case internal::Command::kConfigure:
        Log(absl::StrCat("configure workers=", command.configure().workers(), count));
        FailIfAsked("configure");
        configured_ = true;
        break;
      case internal::Command::kAddContainer: {
        const internal::AddContainer& add = command.add_container();
        Log(absl::StrCat("add ", add.container_id(), add.has_audit_stream() ? " audit" : "",
                         count));
        FailIfAsked("add");
        if (flags_["refuse"] == add.container_id()) {
          done->set_error("as asked");
        } else {
          containers_[add.container_id()] = std::move(fds);
          instances_[add.container_id()] = add.instance();
        }
        break;
      }
      case internal::Command::kRemoveContainer:
        Log(absl::StrCat("remove ", command.remove_container().container_id(), count));
        FailIfAsked("remove");
        containers_.erase(command.remove_container().container_id());
        break;
      case internal::Command::kUpdatePolicy:
        Update(command.update_policy(), done);
        break;
      case internal::Command::kSetSecrets:
        Log(SecretsLine(command.set_secrets()));
        break;
      case internal::Command::kSetIdentity: {
        const internal::Identity& identity = command.set_identity();
        Log(absl::StrCat("identity ", identity.issuer(), " ", identity.token_key_id(),
                         identity.private_key().empty() ? "" : " certificate"));
        break;
      }
      case internal::Command::kSetAuditFile:
        Log(absl::StrCat("audit file", count));
        break;
      case internal::Command::kSetLogLevel:
        break;
      case internal::Command::kSetAuditTap:
        Log(absl::StrCat("audit tap", count));
        FailIfAsked("tap");
        break;
      case internal::Command::kRetainContainers:
        Retain(command.retain_containers(), done);
        break;
      case internal::Command::kDrain:
        Log(absl::StrCat("drain ", command.drain().limit_ms()));
        FailIfAsked("drain");
        draining_ = true;
        containers_.clear();
        break;
      case internal::Command::kGetUsage:
        Log("usage");
        FailIfAsked("usage");
        done->mutable_usage()->mutable_proxy()->set_connections(7);
        break;
      case internal::Command::COMMAND_NOT_SET:
        done->set_error("no command");
    }
    Send(event);
  }

  // "secrets", and each as NAME=VALUE, or NAME? without one.
  static std::string SecretsLine(const internal::SecretValues& secrets) {
    std::string line = "secrets";
    for (const internal::SecretValues::Entry& entry : secrets.entries()) {
      absl::StrAppend(&line, " ", NameOf(entry.reference()), entry.problem().empty() ? "=" : "?",
                      entry.value());
    }
    return line;
  }

  void Retain(const internal::RetainContainers& retain, internal::Done* done) {
    std::string line = "retain";
    std::map<std::string, std::vector<UniqueFd>> kept;
    for (const auto& one : retain.containers()) {
      absl::StrAppend(&line, " ", one.container_id());
      const auto found = containers_.find(one.container_id());
      if (found != containers_.end() && instances_[one.container_id()] == one.instance()) {
        kept[one.container_id()] = std::move(found->second);
      } else {
        done->add_missing(one.container_id());
      }
    }
    Log(line);
    FailIfAsked("retain");
    containers_ = std::move(kept);
  }

  void Update(const internal::UpdatePolicy& update, internal::Done* done) {
    std::string line = absl::StrCat("policy ", update.revision(), update.reset() ? " reset" : "",
                                    update.more() ? " more" : "");
    for (const v1::Resource& resource : update.updated()) {
      v1::ResourceKey key;
      if (resource.has_container()) {
        key.set_kind(v1::RESOURCE_KIND_CONTAINER);
        key.set_name(resource.container().container_id());
      } else if (resource.has_class_()) {
        key.set_kind(v1::RESOURCE_KIND_CLASS);
        key.set_name(resource.class_().name());
      } else {
        key.set_kind(v1::RESOURCE_KIND_HANDLER);
        key.set_name(resource.handler().name());
      }
      absl::StrAppend(&line, " +", key.name());
      if (flags_["reject"] != key.name()) continue;
      *done->add_rejected()->mutable_key() = key;
      done->mutable_rejected(done->rejected_size() - 1)->set_reason("as asked");
    }
    for (const v1::ResourceKey& key : update.removed()) absl::StrAppend(&line, " -", key.name());
    if (update.has_secrets()) absl::StrAppend(&line, " ", SecretsLine(update.secrets()));
    Log(line);
    FailIfAsked("policy");
  }

  void FailIfAsked(const std::string& command) {
    const bool die = flags_["die-once-on"] == command;
    const bool hang = flags_["hang-once-on"] == command;
    if (!die && !hang) return;
    const int marker = open((flags_["log"] + ".died").c_str(), O_CREAT | O_EXCL | O_WRONLY, 0600);
    if (marker < 0) return;
    if (die) _exit(9);
    for (;;) pause();
  }

  static void Greet(int listener) {
    const int connection = accept(listener, nullptr, nullptr);
    const std::string greeting = absl::StrCat(getpid(), "\n");
    if (connection < 0) return;
    send(connection, greeting.data(), greeting.size(), MSG_NOSIGNAL);
    close(connection);
  }

  void Send(const internal::Event& event) {
    if (!SendFrame(session_.get(), event.SerializeAsString(), {}).ok()) _exit(1);
  }

  void Log(const std::string& line) {
    if (!flags_.contains("log")) return;
    const int file = open(flags_["log"].c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
    const std::string text = line + "\n";
    if (write(file, text.data(), text.size()) < 0) _exit(1);
    close(file);
  }

  std::map<std::string, std::string> flags_;
  UniqueFd session_;
  bool configured_ = false;
  bool draining_ = false;
  std::map<std::string, std::vector<UniqueFd>> containers_;
  std::map<std::string, uint64_t> instances_;
};

}  // namespace
}  // namespace sallyport::agent

int main(int argc, char** argv) {
  std::map<std::string, std::string> flags;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const size_t equals = argument.find('=');
    flags[argument.substr(2, equals - 2)] = argument.substr(equals + 1);
  }
  return sallyport::agent::FakeProxy(std::move(flags)).Run();
}
