#include "controlplane/listen_address.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "common/base/strings.h"
#include "common/base/unique_fd.h"

namespace sallyport {
namespace {

absl::Status Refused(std::string_view text, std::string_view why) {
  return absl::InvalidArgumentError(StrCat(
      "--listen ", Quote(text), ": ", why,
      "; write unix:/absolute/path, or an address of this machine alone such as 127.0.0.1:7443"));
}

// An address, IPv6 in brackets, or what may be a name.
bool IsHost(std::string_view host) {
  const bool brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
  in6_addr address;
  if (brackets) {
    return ::inet_pton(AF_INET6, std::string(host.substr(1, host.size() - 2)).c_str(), &address) ==
           1;
  }
  return !host.empty() && std::all_of(host.begin(), host.end(), [](char c) {
    return absl::ascii_isalnum(c) || c == '-' || c == '.';
  });
}

// The text if it is a loopback address, as it is to be bound; empty: it is not.
std::string Loopback(std::string_view host) {
  if (host == "localhost") return "127.0.0.1";
  const bool brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
  const std::string address(brackets ? host.substr(1, host.size() - 2) : host);
  in_addr v4;
  if (!brackets && ::inet_pton(AF_INET, address.c_str(), &v4) == 1) {
    return (ntohl(v4.s_addr) >> 24) == 127 ? address : "";
  }
  in6_addr v6;
  if (brackets && ::inet_pton(AF_INET6, address.c_str(), &v6) == 1) {
    return IN6_IS_ADDR_LOOPBACK(&v6) ? StrCat("[", address, "]") : "";
  }
  return "";
}

bool SomebodyAnswers(const std::string& path) {
  const UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  return ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
}

}  // namespace

absl::StatusOr<ListenAddress> ListenAddress::Parse(std::string_view text, Reach reach) {
  ListenAddress result;
  if (text.starts_with("unix:")) {
    result.path_ = text.substr(5);
    if (result.path_.empty() || result.path_[0] != '/') {
      return Refused(text, "the path of the socket is not absolute");
    }
    if (result.path_.size() >= sizeof(sockaddr_un::sun_path)) {
      return Refused(text, "the path of the socket is longer than 107 bytes");
    }
    return result;
  }
  const size_t colon = text.rfind(':');
  uint32_t port = 0;
  if (colon == std::string_view::npos || !absl::SimpleAtoi(ToAbsl(text.substr(colon + 1)), &port) ||
      port > 65535) {
    return Refused(text, "this is no HOST:PORT");
  }
  const std::string_view host = text.substr(0, colon);
  result.host_ = Loopback(host);
  result.port_ = static_cast<uint16_t>(port);
  if (reach == Reach::kAnywhere) {
    if (!IsHost(host)) return Refused(text, "this is no HOST:PORT");
    if (result.host_.empty()) result.host_ = host;
    return result;
  }
  if (result.host_.empty()) {
    return Refused(
        text,
        "this is no loopback address, and other machines are spoken with over mutual TLS "
        "only: give --tls-dir (`sallyport pki --help` says how to make its files)");
  }
  return result;
}

std::string ListenAddress::ToString(int port) const {
  return is_unix() ? StrCat("unix:", path_) : StrCat(host_, ":", port);
}

absl::Status PrepareUnixSocket(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(), error);
  struct stat info = {};
  if (::lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT && !error) return absl::OkStatus();
    return absl::FailedPreconditionError(
        StrCat("cannot listen on unix:", path, ": ", error ? error.message() : strerror(errno)));
  }
  if (!S_ISSOCK(info.st_mode)) {
    return absl::FailedPreconditionError(
        StrCat("cannot listen on unix:", path, ": the file is there and is no socket; remove it"));
  }
  if (SomebodyAnswers(path)) {
    return absl::FailedPreconditionError(StrCat(
        "cannot listen on unix:", path,
        ": another program answers there; stop it, or choose another address with --listen"));
  }
  if (::unlink(path.c_str()) != 0) {
    return absl::FailedPreconditionError(
        StrCat("cannot remove the stale socket ", path, ": ", strerror(errno)));
  }
  return absl::OkStatus();
}

}  // namespace sallyport
