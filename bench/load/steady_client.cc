// One client that asks on one kept connection, at a steady rate.
//
// Usage: steady_client ADDRESS PORT HOST INTERVAL_US
//
// For each line on its input, a number of seconds, it asks for so long and prints a line of JSON,
// in milliseconds (latencies.h): from sending a request to its answer's end. A request is sent when
// it is due, or after the one before.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "bench/fleet/latencies.h"
#include "common/base/unique_fd.h"

namespace sallyport::bench {
namespace {

UniqueFd Connect(const char* address, uint16_t port) {
  UniqueFd connection(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(connection.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  if (inet_pton(AF_INET, address, &to.sin_addr) != 1 ||
      connect(connection.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)) != 0) {
    return UniqueFd();
  }
  return connection;
}

// The whole length of an answer of which `head` is the head and its end; nullopt: it is not the one
// that is measured.
std::optional<size_t> LengthOf(std::string_view head) {
  constexpr std::string_view kLength = "\r\ncontent-length: ";
  const std::string lower = absl::AsciiStrToLower(absl::string_view(head.data(), head.size()));
  const size_t at = lower.find(kLength);
  size_t length = 0;
  if (!lower.starts_with("http/1.1 200 ") || at == lower.npos) return std::nullopt;
  const size_t begin = at + kLength.size();
  if (!absl::SimpleAtoi(lower.substr(begin, lower.find('\r', begin) - begin), &length))
    return std::nullopt;
  return head.size() + length;
}

// Whether a whole answer came.
bool ReadAnswer(int connection) {
  constexpr std::string_view kHeadEnd = "\r\n\r\n";
  std::string answer;
  std::optional<size_t> length;
  std::array<char, 16384> bytes;
  while (!length.has_value() || answer.size() < *length) {
    const ssize_t count = recv(connection, bytes.data(), bytes.size(), 0);
    if (count <= 0) return false;
    answer.append(bytes.data(), static_cast<size_t>(count));
    const size_t end = answer.find(kHeadEnd);
    if (length.has_value() || end == answer.npos) continue;
    length = LengthOf(std::string_view(answer).substr(0, end + kHeadEnd.size()));
    if (!length.has_value()) return false;
  }
  return answer.size() == *length;
}

int Main(int argc, char** argv) {
  int port = 0, interval_us = 0;
  if (argc != 5 || !absl::SimpleAtoi(argv[2], &port) || !absl::SimpleAtoi(argv[4], &interval_us)) {
    std::fprintf(stderr, "usage: steady_client ADDRESS PORT HOST INTERVAL_US\n");
    return 2;
  }
  const UniqueFd connection = Connect(argv[1], static_cast<uint16_t>(port));
  const std::string request = absl::StrCat("GET / HTTP/1.1\r\nHost: ", argv[3], "\r\n\r\n");
  Latencies latencies;
  int seconds = 0;
  while (std::cin >> seconds) {
    Clock::time_point due = Clock::now();
    const Clock::time_point end = due + std::chrono::seconds(seconds);
    while (due < end) {
      std::this_thread::sleep_until(due);
      const Clock::time_point begin = Clock::now();
      if (send(connection.get(), request.data(), request.size(), MSG_NOSIGNAL) !=
              static_cast<ssize_t>(request.size()) ||
          !ReadAnswer(connection.get())) {
        std::fprintf(stderr, "steady_client: a request failed\n");
        return 1;
      }
      const Clock::time_point now = Clock::now();
      latencies.Add(now - begin);
      due = std::max(due + std::chrono::microseconds(interval_us), now);
    }
    std::printf("%s\n", latencies.Take().c_str());
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace
}  // namespace sallyport::bench

int main(int argc, char** argv) { return sallyport::bench::Main(argc, argv); }
