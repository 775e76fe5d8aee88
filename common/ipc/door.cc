#include "common/ipc/door.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "common/base/status.h"

namespace sallyport {
namespace {

absl::StatusOr<std::pair<UniqueFd, UniqueFd>> MakePair(int type) {
  int pair[2];
  if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) != 0) {
    return absl::ErrnoToStatus(errno, "no pair of sockets can be made");
  }
  return std::pair(UniqueFd(pair[0]), UniqueFd(pair[1]));
}

// A packet of this one byte: an empty one could not be told from the end.
constexpr char kKnock = 's';

}  // namespace

absl::StatusOr<Door> MakeDoor() {
  ASSIGN_OR_RETURN(auto pair, MakePair(SOCK_SEQPACKET));
  return Door{std::move(pair.first), std::move(pair.second)};
}

absl::StatusOr<UniqueFd> OpenSession(int outside) {
  ASSIGN_OR_RETURN(auto pair, MakePair(SOCK_STREAM));
  char knock = kKnock;
  iovec part{&knock, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr packet{};
  packet.msg_iov = &part;
  packet.msg_iovlen = 1;
  packet.msg_control = control;
  packet.msg_controllen = sizeof(control);
  cmsghdr* const rights = CMSG_FIRSTHDR(&packet);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof(int));
  const int theirs = pair.second.get();
  std::memcpy(CMSG_DATA(rights), &theirs, sizeof(theirs));
  ssize_t sent;
  do {
    sent = sendmsg(outside, &packet, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) {
    // A full queue: whoever is to take sessions has not for long.
    return absl::UnavailableError("opening a session: nobody takes it");
  }
  return std::move(pair.first);
}

absl::StatusOr<UniqueFd> TakeSession(int inside) {
  while (true) {
    char knock = 0;
    iovec part{&knock, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr packet{};
    packet.msg_iov = &part;
    packet.msg_iovlen = 1;
    packet.msg_control = control;
    packet.msg_controllen = sizeof(control);
    const ssize_t count = recvmsg(inside, &packet, MSG_CMSG_CLOEXEC);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno != ECONNRESET) return absl::ErrnoToStatus(errno, "taking a session");
    if (count <= 0) return absl::OutOfRangeError("taking a session: the door is closed");
    const cmsghdr* const rights = CMSG_FIRSTHDR(&packet);
    // Without one this process had no descriptor left for it.
    if (rights == nullptr || rights->cmsg_type != SCM_RIGHTS ||
        rights->cmsg_len != CMSG_LEN(sizeof(int))) {
      continue;
    }
    int session;
    std::memcpy(&session, CMSG_DATA(rights), sizeof(session));
    return UniqueFd(session);
  }
}

}  // namespace sallyport
