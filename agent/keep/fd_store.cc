#include "agent/keep/fd_store.h"

#include <fcntl.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"
#include "common/base/strings.h"

namespace sallyport::agent {
namespace {

constexpr int kFirstInherited = 3;
// A store that does not read has ended, or is stuck.
constexpr timeval kSendTime{.tv_sec = 5, .tv_usec = 0};

std::string TakeVariable(const char* name) {
  const char* const value = getenv(name);
  std::string text = value == nullptr ? "" : value;
  unsetenv(name);
  return text;
}

}  // namespace

FdStore FdStore::FromEnvironment() {
  FdStore store;
  const std::string path = TakeVariable("NOTIFY_SOCKET");
  if (path.size() < 2 || path.size() >= sizeof(store.address_.sun_path)) return store;
  store.address_.sun_family = AF_UNIX;
  path.copy(store.address_.sun_path, path.size());
  // In the abstract namespace: a name is what is counted, not what ends with a NUL.
  const bool abstract = path.front() == '@';
  if (abstract) store.address_.sun_path[0] = '\0';
  store.address_length_ =
      static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + (abstract ? 0 : 1));
  store.socket_.Reset(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  setsockopt(store.socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &kSendTime, sizeof(kSendTime));
  return store;
}

absl::Status FdStore::Keep(std::string_view name, std::string_view record,
                           std::span<const int> fds) const {
  if (!exists()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const UniqueFd packed, Pack(record, fds));
  const int one[] = {packed.get()};
  // FDPOLL=0: a parcel has nobody at its other end, which is no reason to drop it.
  return Send(StrCat("FDSTORE=1\nFDNAME=", name, "\nFDPOLL=0"), one);
}

void FdStore::Forget(std::string_view name) const {
  // A store that does not hear of it has ended, and holds nothing any more.
  Send(StrCat("FDSTOREREMOVE=1\nFDNAME=", name), {}).IgnoreError();
}

void FdStore::Tell(std::string_view state) const { Send(state, {}).IgnoreError(); }

absl::Status FdStore::Send(std::string_view message, std::span<const int> fds) const {
  if (!exists()) return absl::OkStatus();
  iovec part{const_cast<char*>(message.data()), message.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  sockaddr_un address = address_;
  msghdr packet{};
  packet.msg_name = &address;
  packet.msg_namelen = address_length_;
  packet.msg_iov = &part;
  packet.msg_iovlen = 1;
  if (!fds.empty()) {
    packet.msg_control = control;
    packet.msg_controllen = sizeof(control);
    cmsghdr* const rights = CMSG_FIRSTHDR(&packet);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(rights), fds.data(), sizeof(int));
  }
  ssize_t sent;
  do {
    sent = sendmsg(socket_.get(), &packet, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0) return absl::OkStatus();
  return absl::ErrnoToStatus(errno, "the store of descriptors cannot be reached");
}

std::vector<Inherited> TakeInherited() {
  const std::string pid = TakeVariable("LISTEN_PID");
  const std::string count = TakeVariable("LISTEN_FDS");
  const std::vector<std::string> names = absl::StrSplit(TakeVariable("LISTEN_FDNAMES"), ':');
  int whose = 0;
  int fds = 0;
  std::vector<Inherited> inherited;
  if (!absl::SimpleAtoi(pid, &whose) || whose != getpid() || !absl::SimpleAtoi(count, &fds))
    return inherited;
  for (int i = 0; i < fds; ++i) {
    Inherited one;
    one.fd.Reset(kFirstInherited + i);
    if (fcntl(one.fd.get(), F_SETFD, FD_CLOEXEC) != 0) continue;
    if (static_cast<size_t>(i) < names.size()) one.name = names[static_cast<size_t>(i)];
    inherited.push_back(std::move(one));
  }
  return inherited;
}

}  // namespace sallyport::agent
