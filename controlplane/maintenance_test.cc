// Backup and restore of a control plane that goes on meanwhile.

#include <gmock/gmock.h>
#include <grpcpp/client_context.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "common/base/strings.h"
#include "controlplane/maintenance_client.h"
#include "controlplane/store/backup.h"
#include "controlplane/store/sqlite_store.h"
#include "controlplane/testing/fake_agent.h"
#include "controlplane/testing/program.h"
#include "controlplane/testing/test_server.h"
#include "proto/sallyport/v1/maintenance.grpc.pb.h"

namespace sallyport {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using Policy = v1::OutboundPolicy::Stub;

class MaintenanceTest : public testing::Test {
 protected:
  std::string Address() const { return "unix:" + server_.socket(); }
  std::string Backup() {
    const auto backup = BackupLive(Address());
    EXPECT_TRUE(backup.ok()) << backup.status();
    return backup->file;
  }
  Restored Restore(const std::string& file) {
    const auto restored = RestoreLive(Address(), file);
    EXPECT_TRUE(restored.ok()) << restored.status();
    return *restored;
  }
  grpc::Status Deny(const std::string& id, const std::string& host, v1::MutationOptions options,
                    v1::MutationResult* result) {
    v1::HostRequest request;
    request.set_container_id(id);
    request.set_host(host);
    *request.mutable_options() = std::move(options);
    return Call(server_.policy(), &Policy::DenyHost, request, result);
  }

  TestServer server_;
};

TEST_F(MaintenanceTest, RestoreUndoesWhatCameAfterTheBackup) {
  server_.ApplyClass("web");
  server_.CreateContainer("web-1", "web");
  const std::string backup = Backup();
  server_.CreateContainer("web-2", "web");
  const uint64_t last = server_.ApplyClass("later");
  const Restored restored = Restore(backup);
  EXPECT_EQ(restored.revision, last + 1);
  EXPECT_EQ(restored.classes, 1u);
  EXPECT_EQ(restored.containers, 1u);
  EXPECT_EQ(server_.GetContainer("web-1").stored_revision(), restored.revision);
  // It is durable, and changes go on from there.
  server_.Restart();
  EXPECT_EQ(ReadBackup(Backup())->containers.size(), 1u);
  EXPECT_EQ(server_.ApplyClass("later"), restored.revision + 1);
}

// An agent of the time before: it begins anew, whatever it had.
TEST_F(MaintenanceTest, AgentsGetEverythingAnew) {
  const uint64_t first = server_.ApplyClass("web");
  FakeAgent agent(server_.NewChannel(), FakeAgent::Hello("host-7", {{"web-1", "web"}}),
                  FakeAgent::Acks::kAtOnce);
  ASSERT_TRUE(agent.WaitToHave(ResourceId::Class("web"), first));
  const std::string backup = Backup();
  v1::ContainerClass changed;
  changed.set_name("web");
  changed.mutable_allowed_hosts()->add_hosts("a.example.com");
  ASSERT_TRUE(agent.WaitToHave(ResourceId::Class("web"), server_.ApplyClass(changed)));

  const Restored restored = Restore(backup);
  const grpc::Status end = agent.WaitForEnd();
  EXPECT_EQ(end.error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_THAT(end.error_message(), HasSubstr("restored"));

  FakeAgent again(server_.NewChannel(), agent.HelloAgain(), FakeAgent::Acks::kAtOnce);
  const auto delta = again.NextDelta();
  ASSERT_TRUE(delta.has_value());
  EXPECT_TRUE(delta->reset());
  EXPECT_NE(delta->epoch(), agent.HelloAgain().epoch());
  EXPECT_GE(delta->revision(), restored.revision);
  ASSERT_EQ(delta->updated_size(), 2);
  EXPECT_FALSE(delta->updated(0).class_().has_allowed_hosts());
  EXPECT_EQ(delta->updated(1).container().container_id(), "web-1");
  // The same again is no news.
  FakeAgent third(server_.NewChannel(), again.HelloAgain(), FakeAgent::Acks::kAtOnce);
  EXPECT_FALSE(third.NextDelta()->reset());
}

TEST_F(MaintenanceTest, ContainerThatTheBackupDoesNotKnowReachesNothingUntilAttachedAnew) {
  server_.ApplyClass("web");
  const std::string backup = Backup();
  const v1::Hello hello = FakeAgent::Hello("host-7", {{"web-1", "web"}});
  FakeAgent agent(server_.NewChannel(), hello, FakeAgent::Acks::kAtOnce);
  ASSERT_EQ(agent.NextAttachResult()->error(), "");
  Restore(backup);
  agent.WaitForEnd();
  for (int round = 0; round < 2; ++round) {
    FakeAgent again(server_.NewChannel(), round == 0 ? agent.HelloAgain() : hello,
                    FakeAgent::Acks::kAtOnce);
    EXPECT_THAT(again.NextAttachResult()->error(), HasSubstr("not in the backup"));
    EXPECT_EQ(again.NextDelta()->updated_size(), 0);
    if (round == 0) continue;
    again.Detach("web-1", /*forget=*/false);
    again.Attach("web-1", "web");
    EXPECT_EQ(again.NextAttachResult()->error(), "");
    EXPECT_EQ(again.NextDelta()->updated_size(), 2);
  }
}

TEST_F(MaintenanceTest, WhoeverWaitsIsAnswered) {
  server_.ApplyClass("web");
  FakeAgent agent(server_.NewChannel(), FakeAgent::Hello("host-7", {{"web-1", "web"}}),
                  FakeAgent::Acks::kByHand);
  ASSERT_EQ(agent.NextAttachResult()->error(), "");
  ASSERT_TRUE(agent.NextDelta().has_value());  // Never acked.
  const std::string backup = Backup();
  const uint64_t before = server_.GetContainer("web-1").stored_revision();
  v1::MutationResult result;
  grpc::Status status;
  std::thread waiting([&] {
    status = Deny("web-1", "a.example.com", WaitEnforced(std::chrono::seconds(30)), &result);
  });
  while (server_.GetContainer("web-1").stored_revision() == before) std::this_thread::yield();
  Restore(backup);
  waiting.join();  // Its call would end with an error after ten seconds.
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(result.enforcement(), v1::MutationResult::PENDING);
}

// Two containers are always changed together: neither a backup nor a restore may come between.
TEST_F(MaintenanceTest, UnderWriteLoad) {
  server_.ApplyClass("web");
  std::atomic<bool> stop = false;
  std::atomic<int> changes = 0;
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 3; ++writer) {
    writers.emplace_back([&, writer] {
      const auto stub = v1::OutboundPolicy::NewStub(server_.NewChannel());
      for (int n = 0; !stop; ++n) {
        v1::ApplyClassRequest request;
        request.mutable_class_()->set_name(StrCat("w-", writer));
        request.mutable_class_()->mutable_allowed_hosts()->add_hosts(StrCat("a", n, ".test"));
        request.mutable_class_()->mutable_denied_hosts()->add_hosts(StrCat("d", n, ".test"));
        *request.mutable_options() = WaitStored();
        v1::ApplyClassResponse response;
        EXPECT_TRUE(Call(*stub, &Policy::ApplyClass, request, &response).ok());
        ++changes;
      }
    });
  }
  uint64_t revision = 0;
  uint64_t epoch = 0;
  for (int round = 0; round < 10; ++round) {
    const int until = changes + 20;
    while (changes < until) std::this_thread::yield();
    const std::string file = Backup();
    const auto state = ReadBackup(file);
    ASSERT_TRUE(state.ok()) << state.status();
    EXPECT_GT(state->revision, revision);
    EXPECT_NE(state->epoch, epoch);
    for (const auto& [name, record] : state->classes.Sorted()) {
      if (name == "web") continue;
      EXPECT_EQ(record->value.allowed_hosts().hosts(0).substr(1),
                record->value.denied_hosts().hosts(0).substr(1));
    }
    epoch = state->epoch;
    revision = Restore(file).revision;
    EXPECT_GT(revision, state->revision);
  }
  stop = true;
  for (std::thread& writer : writers) writer.join();
}

TEST_F(MaintenanceTest, WhatIsNoBackupChangesNothing) {
  const uint64_t revision = server_.ApplyClass("web");
  std::string backup = Backup();
  backup[backup.size() / 2] ^= 4;
  for (const std::string& bytes : {std::string("garbage"), std::string(200'000, 'g'), std::string(),
                                   backup.substr(0, backup.size() / 2)}) {
    const auto refused = RestoreLive(Address(), bytes);
    EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument) << refused.status();
    EXPECT_THAT(std::string(refused.status().message()), HasSubstr("nothing was changed"));
  }
  // Without its last piece.
  const auto stub = v1::Maintenance::NewStub(server_.channel());
  grpc::ClientContext context;
  v1::RestoreResponse response;
  const auto stream = stub->Restore(&context, &response);
  v1::RestoreRequest piece;
  piece.set_data(Backup());
  stream->Write(piece);
  stream->WritesDone();
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(server_.ApplyClass("next"), revision + 1);
}

// The program's own commands.
class MaintenanceProgramTest : public testing::Test {
 protected:
  MaintenanceProgramTest() {
    std::string name = "/tmp/maintenance.XXXXXX";
    dir_ = mkdtemp(name.data());
  }
  ~MaintenanceProgramTest() override { fs::remove_all(dir_); }

  std::string Address() const { return StrCat("unix:", dir_, "/s"); }
  std::string File() const { return dir_ + "/backup"; }
  std::string StateDir() const { return dir_ + "/state"; }
  std::unique_ptr<Program> Serve() const {
    auto program = std::make_unique<Program>(
        std::vector<std::string>{"--state-dir", StateDir(), "--listen", Address()});
    EXPECT_EQ(program->ReadTo("\n"), StrCat("listening on ", Address(), "\n"));
    return program;
  }
  // What it prints, with its exit status.
  static std::string Run(std::vector<std::string> arguments) {
    Program program(std::move(arguments));
    const std::string output = program.ReadAll();
    return StrCat(program.Wait(), ": ", output);
  }
  // A backup with `containers` containers of the class `name`.
  static std::string Sample(const std::string& name, int containers) {
    State state;
    state.epoch = 1;
    state.revision = 10;
    v1::ContainerClass value;
    value.set_name(name);
    state.SetClass(value, 1);
    for (int i = 0; i < containers; ++i) {
      v1::ContainerPolicy policy;
      policy.set_container_id(StrCat(name, "-", i));
      policy.set_class_name(name);
      state.SetContainer(policy, 2);
    }
    return *MakeBackup(state);
  }

  std::string dir_;
};

TEST_F(MaintenanceProgramTest, BackupAndRestoreOfARunningOne) {
  const auto program = Serve();
  ASSERT_TRUE(RestoreLive(Address(), Sample("web", 3)).ok());
  EXPECT_THAT(Run({"backup", "--control-plane", Address(), File()}),
              HasSubstr("0: backup of revision 11, "));
  struct stat info = {};
  ASSERT_EQ(::stat(File().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_THAT(Run({"backup", "--control-plane", Address(), File()}),
              HasSubstr("1: sallyportd backup: " + File() + " is there already"));
  EXPECT_THAT(Run({"backup", "--control-plane", Address(), "--force", File()}), HasSubstr("0: "));
  EXPECT_THAT(
      Run({"restore", "--control-plane", Address(), File()}),
      HasSubstr("0: restored 1 classes, 3 containers, 0 handlers; the store is at revision 12"));
  EXPECT_THAT(Run({"restore", "--state-dir", StateDir(), File()}), HasSubstr("--control-plane"));
  EXPECT_THAT(Run({"backup", "--state-dir", StateDir(), dir_ + "/x"}), HasSubstr("1: "));
}

TEST_F(MaintenanceProgramTest, BackupAndRestoreOfOneThatDoesNotRun) {
  std::ofstream(File(), std::ios::binary) << Sample("web", 3);
  EXPECT_THAT(Run({"restore", "--state-dir", StateDir(), File()}),
              HasSubstr("0: restored 1 classes, 3 containers, 0 handlers"));
  EXPECT_THAT(Run({"backup", "--state-dir", StateDir(), dir_ + "/again"}), HasSubstr("0: backup"));
  EXPECT_EQ(ReadBackup(*ReadBackupFile(dir_ + "/again"))->containers.size(), 3u);
  const auto program = Serve();
  EXPECT_EQ(ReadBackup(BackupLive(Address())->file)->containers.size(), 3u);
}

TEST_F(MaintenanceProgramTest, WrongArguments) {
  EXPECT_THAT(Run({"backup", "--help"}), HasSubstr("Example:\n  sallyportd backup /"));
  EXPECT_THAT(Run({"backup"}), HasSubstr("2: sallyportd backup: name one FILE"));
  EXPECT_THAT(Run({"restore", "--state-dir=/x", "--control-plane=unix:/y", "f"}),
              HasSubstr("2: sallyportd restore: --control-plane and --state-dir exclude"));
  EXPECT_THAT(Run({"backup", "--control-plane", Address(), File()}),
              HasSubstr("1: sallyportd backup: cannot reach the control plane at " + Address()));
  EXPECT_THAT(Run({"restore", "--state-dir", StateDir(), "/nowhere"}),
              HasSubstr("1: sallyportd restore: cannot read /nowhere"));
}

// Killed at a random moment of a restore: the old or the new, whole.
TEST_F(MaintenanceProgramTest, KilledRestoreIsOldOrNew) {
  std::mt19937 random(20261128);
  const std::string samples[] = {Sample("old", 2000), Sample("new", 1500)};
  int present = 0;
  std::chrono::microseconds window{0};
  {
    const auto program = Serve();
    const auto begin = std::chrono::steady_clock::now();
    ASSERT_TRUE(RestoreLive(Address(), samples[1]).ok());
    ASSERT_TRUE(RestoreLive(Address(), samples[present]).ok());
    window = std::chrono::duration_cast<std::chrono::microseconds>(
        std::chrono::steady_clock::now() - begin);
  }
  int outcomes[2] = {0, 0};
  for (int round = 0; round < 30; ++round) {
    const int next = 1 - present;
    const auto program = Serve();
    std::thread restoring([&] { (void)RestoreLive(Address(), samples[next]); });
    ::usleep(static_cast<useconds_t>(random() % window.count()));
    program->Signal(SIGKILL);
    restoring.join();
    EXPECT_EQ(program->Wait(), -SIGKILL);

    const auto again = Serve();
    const auto state = ReadBackup(BackupLive(Address())->file);
    ASSERT_TRUE(state.ok()) << state.status();
    ASSERT_EQ(state->classes.size(), 1u);
    const bool restored = state->classes.Find(next == 0 ? "old" : "new") != nullptr;
    if (restored) present = next;
    ++outcomes[restored ? 1 : 0];
    ASSERT_EQ(state->containers.size(), present == 0 ? 2000u : 1500u);
    const std::string name = present == 0 ? "old" : "new";
    for (const auto& [id, record] : state->containers.Sorted()) {
      ASSERT_EQ(record->value.class_name(), name);
    }
  }
  std::printf("killed before the commit %d times, after it %d times\n", outcomes[0], outcomes[1]);
}

}  // namespace
}  // namespace sallyport
