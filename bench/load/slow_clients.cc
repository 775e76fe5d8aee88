// Clients that hold what they can: they send a little, then a byte each second or nothing, and read
// all or nothing. One that is ended is opened anew.
//
// Usage: slow_clients ADDRESS COUNT NAME:PORT:MODE:HEX...
//
// COUNT connections, of the kinds named in turn. Each sends what HEX says; MODE is what it does
// then:
//
//   dribble  sends a byte each second, and has ended once anything comes back
//   hold     sends nothing more
//   unread   reads nothing, with a window that is soon full
//
// A line on its input is answered with {"waiting": to be opened, "NAME": ended so far, ...}. It
// ends with its input.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/unique_fd.h"

namespace sallyport::bench {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kTick{20};
// Each client has its own of these ticks for its byte, so that they come one after the other.
constexpr size_t kTicksPerSecond = 50;
constexpr int kOpensPerTick = 40;

enum class Mode { kDribble, kHold, kUnread };

struct Kind {
  std::string name;
  uint16_t port = 0;
  Mode mode = Mode::kHold;
  std::string opening;
  int64_t ended = 0;
};

struct Client {
  Kind* kind = nullptr;
  UniqueFd socket;
  bool opened = false;  // The opening was sent.
};

class Clients {
 public:
  Clients(in_addr address, std::vector<Kind> kinds, size_t count)
      : address_(address), kinds_(std::move(kinds)), clients_(count), epoll_(epoll_create1(0)) {
    for (size_t i = 0; i < count; ++i) {
      clients_[i].kind = &kinds_[i % kinds_.size()];
      waiting_.push_back(i);
    }
  }

  // Until standard input ends.
  void Run() {
    Clock::time_point tick = Clock::now();
    for (size_t ticks = 0; AnswerInput(); ++ticks) {
      for (int i = 0; i < kOpensPerTick && !waiting_.empty(); ++i) Open();
      for (size_t i = ticks % kTicksPerSecond; i < clients_.size(); i += kTicksPerSecond)
        Dribble(i);
      tick += kTick;
      while (Clock::now() < tick) Serve(tick - Clock::now());
    }
  }

 private:
  void Open() {
    const size_t index = waiting_.front();
    waiting_.pop_front();
    Client& client = clients_[index];
    client.opened = false;
    client.socket = UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const int small = 4096;
    setsockopt(client.socket.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    sockaddr_in to = {};
    to.sin_family = AF_INET;
    to.sin_addr = address_;
    to.sin_port = htons(client.kind->port);
    if (connect(client.socket.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)) != 0 &&
        errno != EINPROGRESS) {
      End(index);
      return;
    }
    epoll_event event = {.events = EPOLLOUT | EPOLLONESHOT, .data = {.u64 = index}};
    epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, client.socket.get(), &event);
  }

  void End(size_t index) {
    clients_[index].socket = UniqueFd();
    ++clients_[index].kind->ended;
    waiting_.push_back(index);
  }

  void Serve(Clock::duration longest) {
    std::array<epoll_event, 256> events;
    const auto wait = std::chrono::ceil<milliseconds>(longest);
    const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()),
                                 static_cast<int>(wait.count()));
    for (int i = 0; i < count; ++i) {
      const size_t index = events[static_cast<size_t>(i)].data.u64;
      if (clients_[index].opened) {
        OnReadable(index);
      } else {
        OnConnected(index);
      }
    }
  }

  void OnConnected(size_t index) {
    Client& client = clients_[index];
    const std::string& opening = client.kind->opening;
    if (send(client.socket.get(), opening.data(), opening.size(), MSG_NOSIGNAL) < 0) {
      End(index);
      return;
    }
    client.opened = true;
    // Unread answers are no event; a reset is.
    epoll_event event = {.events = client.kind->mode == Mode::kUnread ? 0U : EPOLLIN,
                         .data = {.u64 = index}};
    epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, client.socket.get(), &event);
  }

  void OnReadable(size_t index) {
    Client& client = clients_[index];
    std::array<char, 4096> bytes;
    const ssize_t count = recv(client.socket.get(), bytes.data(), bytes.size(), 0);
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0 || client.kind->mode != Mode::kHold) End(index);
  }

  void Dribble(size_t index) {
    Client& client = clients_[index];
    if (!client.opened || client.kind->mode != Mode::kDribble || !client.socket.valid()) return;
    if (send(client.socket.get(), "x", 1, MSG_NOSIGNAL) < 0 && errno != EAGAIN) End(index);
  }

  // False: the input has ended.
  bool AnswerInput() {
    pollfd input = {.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    if (poll(&input, 1, 0) <= 0) return true;
    std::array<char, 64> bytes;
    if (read(STDIN_FILENO, bytes.data(), bytes.size()) <= 0) return false;
    std::string answer = absl::StrCat("{\"waiting\": ", waiting_.size());
    for (const Kind& kind : kinds_) absl::StrAppend(&answer, ", \"", kind.name, "\": ", kind.ended);
    std::printf("%s}\n", answer.c_str());
    std::fflush(stdout);
    return true;
  }

  const in_addr address_;
  std::vector<Kind> kinds_;
  std::vector<Client> clients_;
  std::deque<size_t> waiting_;
  const UniqueFd epoll_;
};

bool ParseKind(const char* text, Kind* kind) {
  const std::vector<std::string> parts = absl::StrSplit(absl::string_view(text), ':');
  int port = 0;
  if (parts.size() != 4 || !absl::SimpleAtoi(parts[1], &port)) return false;
  kind->name = parts[0];
  kind->port = static_cast<uint16_t>(port);
  kind->opening = absl::HexStringToBytes(parts[3]);
  if (parts[2] == "dribble") {
    kind->mode = Mode::kDribble;
  } else if (parts[2] == "unread") {
    kind->mode = Mode::kUnread;
  } else if (parts[2] != "hold") {
    return false;
  }
  return true;
}

int Main(int argc, char** argv) {
  in_addr address = {};
  int count = 0;
  std::vector<Kind> kinds(static_cast<size_t>(argc > 3 ? argc - 3 : 0));
  bool usable = !kinds.empty() && inet_pton(AF_INET, argv[1], &address) == 1 &&
                absl::SimpleAtoi(argv[2], &count);
  for (size_t i = 0; usable && i < kinds.size(); ++i) usable = ParseKind(argv[i + 3], &kinds[i]);
  if (!usable) {
    std::fprintf(stderr, "usage: slow_clients ADDRESS COUNT NAME:PORT:MODE:HEX...\n");
    return 2;
  }
  rlimit files = {};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  Clients(address, std::move(kinds), static_cast<size_t>(count)).Run();
  return 0;
}

}  // namespace
}  // namespace sallyport::bench

int main(int argc, char** argv) { return sallyport::bench::Main(argc, argv); }
