// What is legal in a class but probably not meant.

#ifndef SALLYPORT_CONTROLPLANE_CLASS_WARNINGS_H_
#define SALLYPORT_CONTROLPLANE_CLASS_WARNINGS_H_

#include <string>
#include <vector>

#include "controlplane/store/state.h"
#include "proto/sallyport/v1/policy.pb.h"

namespace sallyport {

// One sentence each, with the field's path, which begins with `path`: patterns that cross a public
// suffix, as `good.*`, which also matches `good.evil.example`; rules whose handler is not
// registered; and monitor mode, which enforces no list. `container_class` is normalised.
std::vector<std::string> ClassWarnings(const std::string& path,
                                       const v1::ContainerClass& container_class,
                                       const State& state);

}  // namespace sallyport

#endif  // SALLYPORT_CONTROLPLANE_CLASS_WARNINGS_H_
