// What a container's annotations say to Sallyport.

#ifndef SALLYPORT_AGENT_ATTACH_OCI_ANNOTATIONS_H_
#define SALLYPORT_AGENT_ATTACH_OCI_ANNOTATIONS_H_

#include <google/protobuf/struct.pb.h>

#include <map>
#include <string>

#include "absl/status/statusor.h"

namespace sallyport::agent {

using Annotations = std::map<std::string, std::string>;

//   sallyport.class=NAME    the container's class; required
//   sallyport.id=ID         its id in the fleet; by default the runtime's
//   sallyport.params=JSON   an object that its handlers get beside the rules' params
//   sallyport.network=routed  keeps its own network, for connections that others open
//   sallyport.trust=none    leaves its files and environment as they are
struct AttachAnnotations {
  std::string class_name;
  std::string container_id;
  // The id is the runtime's: nothing comes under it again, and its record need not outlive it.
  bool made_up_id = false;
  bool trust = true;
  bool routed = false;
  google::protobuf::Struct params;
};

// INVALID_ARGUMENT, with a sentence, for anything else that begins with `sallyport.`: what is
// misspelled would not hold.
absl::StatusOr<AttachAnnotations> ReadAnnotations(const Annotations& annotations,
                                                  const std::string& runtime_id);

}  // namespace sallyport::agent

#endif  // SALLYPORT_AGENT_ATTACH_OCI_ANNOTATIONS_H_
