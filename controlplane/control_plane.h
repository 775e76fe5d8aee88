// The parts that the services share. Made and taken down by Server.

#ifndef SALLYPORT_CONTROLPLANE_CONTROL_PLANE_H_
#define SALLYPORT_CONTROLPLANE_CONTROL_PLANE_H_

#include "controlplane/authorizer.h"
#include "controlplane/live_endpoints.h"
#include "controlplane/secret_sealer.h"
#include "controlplane/store/store.h"
#include "controlplane/sync_hub.h"
#include "controlplane/waiters.h"
#include "controlplane/watch_hub.h"
#include "controlplane/write_queue.h"

namespace sallyport {

// All thread-safe; outlives every call.
struct ControlPlane {
  Store* store;
  Waiters* waiters;
  SyncHub* hub;
  WriteQueue* writer;
  WatchHub* watchers;
  LiveEndpoints* live;
  // Of callers over TLS; local ones may do everything.
  const Authorizer* authorizer;
  SecretSealer* sealer;
};

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_CONTROL_PLANE_H_
