// Whether a container's annotations can be its image's.

#ifndef SALLYPORT_AGENT_ATTACH_OCI_IMAGE_ANNOTATIONS_H_
#define SALLYPORT_AGENT_ATTACH_OCI_IMAGE_ANNOTATIONS_H_

#include <string>

#include "absl/status/status.h"

namespace sallyport::agent {

// By where it is, in podman's storage: annotations that say so are the user's and the image's to
// set.
bool IsPodmanBundle(const std::string& container_id, const std::string& bundle);

// podman gives a container its image's annotations as well, where the user sets none of the name:
// an image could choose its own class, or take another container's id. Looks into podman's storage,
// which a container's bundle is a part of; other runtimes' bundles are not, and pass.
// PERMISSION_DENIED if the image has annotations that begin with `sallyport.`; FAILED_PRECONDITION
// if that cannot be told.
absl::Status CheckImageAnnotations(const std::string& container_id, const std::string& bundle);

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_ATTACH_OCI_IMAGE_ANNOTATIONS_H_
