// How a program gets a fresh stream socket to another one, however the last one ended: over a pair
// of SOCK_SEQPACKET sockets, the door, of which each packet is whole and brings one end of a stream
// socket, the session.

#ifndef SALLYPORT_COMMON_IPC_DOOR_H_
#define SALLYPORT_COMMON_IPC_DOOR_H_

#include "absl/status/statusor.h"
#include "common/base/unique_fd.h"

namespace sallyport {

struct Door {
  UniqueFd outside;  // Opens sessions.
  UniqueFd inside;   // Takes them.
};
absl::StatusOr<Door> MakeDoor();

// This end of a new session. UNAVAILABLE: nobody holds the other side of the door.
absl::StatusOr<UniqueFd> OpenSession(int outside);

// The oldest session that was not yet taken; waits for one. OUT_OF_RANGE: nobody holds the other
// side of the door any more.
absl::StatusOr<UniqueFd> TakeSession(int inside);

}  // namespace sallyport

#endif  // SALLYPORT_COMMON_IPC_DOOR_H_
