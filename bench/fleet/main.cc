// A fleet of simulated agents and the operator who changes their policy, in one process. Takes
// commands on stdin, one a line, and answers each with a line of JSON; bench/fleet.py drives it.
//
//   connect AGENTS CONTAINERS   makes agents until there are so many, each with so many containers
//   steady SECONDS              waits until every agent has what it needs
//   lost SECONDS                waits until no agent has a stream
//   classes COUNT               changes the class of all containers, so many times
//   load RATE SECONDS           changes single containers
//   reconnect SECONDS           ends all streams at once, and waits until all are steady again

#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_format.h"
#include "absl/synchronization/mutex.h"
#include "bench/fleet/changes.h"
#include "bench/fleet/latencies.h"
#include "bench/fleet/sim_agent.h"
#include "common/base/strings.h"

namespace sallyport::bench {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr char kClass[] = "bench";

class Fleet {
 public:
  explicit Fleet(const std::string& target) : changes_(target) {
    notes_.target = target;
    changes_.Prepare(kClass);
  }
  ~Fleet() {
    notes_.stop = true;
    for (const auto& agent : agents_) agent->HangUp();
    for (const auto& agent : agents_) Until([&] { return agent->Idle(); }, 10);
  }

  std::string Run(const std::string& line) {
    std::istringstream words(line);
    std::string command;
    int first = 0;
    int second = 0;
    words >> command >> first >> second;
    if (command == "connect") return Connect(first, second);
    if (command == "steady") return Wait([this] { return notes_.steady == Size(); }, first);
    if (command == "lost") return Wait([this] { return notes_.steady == 0; }, first);
    if (command == "classes") return ChangeClasses(first);
    if (command == "load") return Load(first, second);
    if (command == "reconnect") return Reconnect(first);
    return R"({"error": "unknown command"})";
  }

 private:
  int Size() const { return static_cast<int>(agents_.size()); }

  static bool Until(const std::function<bool()>& condition, int patience) {
    const Clock::time_point deadline = Clock::now() + seconds(patience);
    while (!condition()) {
      if (Clock::now() > deadline) return false;
      std::this_thread::sleep_for(milliseconds(1));
    }
    return true;
  }
  std::string Wait(const std::function<bool()>& condition, int patience) {
    const Clock::time_point begin = Clock::now();
    const bool held = Until(condition, patience);
    return absl::StrFormat(R"({"ok": %s, "steady": %d, "seconds": %.3f})", held ? "true" : "false",
                           notes_.steady.load(),
                           std::chrono::duration<double>(Clock::now() - begin).count());
  }

  std::string Connect(int agents, int containers) {
    while (Size() < agents) {
      const std::string host = StrCat("host-", Size());
      agents_.push_back(std::make_unique<SimAgent>(&notes_, host, containers, kClass));
      for (int i = 0; i < containers; ++i) ids_.push_back(StrCat(host, "-c", i));
    }
    return Wait([this] { return notes_.steady == Size(); }, 300);
  }

  std::string ChangeClasses(int count) {
    for (int i = 0; i < count; ++i) changes_.ChangeClass(kClass);
    notes_.classes.Await(static_cast<size_t>(count) * ids_.size(), Clock::now() + seconds(10));
    return absl::StrFormat(R"({"received": %s, "answered": %s})", notes_.classes.Take(),
                           changes_.enforced().Take());
  }

  std::string Load(int rate, int length) {
    changes_.ChangeContainers(ids_, rate, seconds(length));
    return absl::StrFormat(R"({"received": %s, "answered": %s, "not_enforced": %d})",
                           notes_.containers.Take(), changes_.enforced().Take(),
                           changes_.not_enforced());
  }

  std::string Reconnect(int patience) {
    for (const auto& agent : agents_) agent->HangUp();
    Until([this] { return notes_.steady < Size() / 2; }, patience);
    return Wait([this] { return notes_.steady == Size(); }, patience);
  }

  FleetNotes notes_;
  Changes changes_;
  std::vector<std::unique_ptr<SimAgent>> agents_;
  std::vector<std::string> ids_;
};

int Main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: fleet ADDRESS < commands\n");
    return 2;
  }
  // Debian's Abseil looks for deadlocks at each lock that gRPC takes, under one lock for all.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  // A connection each.
  rlimit files = {};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);

  Fleet fleet(argv[1]);
  std::string line;
  while (std::getline(std::cin, line)) std::cout << fleet.Run(line) << std::endl;
  return 0;
}

}  // namespace
}  // namespace sallyport::bench

int main(int argc, char** argv) { return sallyport::bench::Main(argc, argv); }
