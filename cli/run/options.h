// What `sallyport run` was told.

#ifndef SALLYPORT_CLI_RUN_OPTIONS_H_
#define SALLYPORT_CLI_RUN_OPTIONS_H_

#include <google/protobuf/struct.pb.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cli/connection.h"

namespace sallyport::cli {

struct RunOptions {
  CommonFlags common;
  std::vector<std::string> allow;
  std::vector<std::string> deny;
  bool no_internet = false;
  bool intercept_https = false;
  std::string policy_file;
  std::string class_name;
  std::string id;
  google::protobuf::Struct params;
  bool explicit_proxy = false;
  std::string listen;                    // Of the explicit proxy; empty: the agent's default.
  std::vector<std::string> environment;  // NAME=VALUE each.
  std::string audit_file;
  bool verbose = false;
  // For an agent that is started for this command.
  std::vector<std::string> resolvers;
  std::vector<std::string> open_ranges;
  std::string origin_roots;

  std::vector<std::string> command;

  // Prints help or an error and exits, if so asked or if the flags are wrong (status 125: the
  // command was not run).
  static RunOptions ParseOrExit(const std::vector<std::string>& arguments);
};

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_RUN_OPTIONS_H_
