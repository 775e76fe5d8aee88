// Handlers as people read them.

#ifndef SALLYPORT_CLI_HANDLER_LINES_H_
#define SALLYPORT_CLI_HANDLER_LINES_H_

#include <string>

#include "proto/sallyport/v1/agent.pb.h"
#include "proto/sallyport/v1/policy.pb.h"

namespace sallyport::cli {

// "builtin: allow_methods, set_headers", or where it listens, "live" if services say so themselves.
std::string WhatItIs(const v1::Handler& handler);

// The handler, and what is not by default: one line.
std::string HandlerLine(const v1::Handler& handler);

// Below it a line for each endpoint: how this host's calls fare there, and whether a service keeps
// it alive. `usage` null: no agent of this host has said; then of the latter alone.
std::string EndpointLines(const v1::Handler& handler, const v1::UsageResponse* usage);

}  // namespace sallyport::cli

#endif  // SALLYPORT_CLI_HANDLER_LINES_H_
