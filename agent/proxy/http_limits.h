// A container's limits in the terms of each version of HTTP.

#ifndef SALLYPORT_AGENT_PROXY_HTTP_LIMITS_H_
#define SALLYPORT_AGENT_PROXY_HTTP_LIMITS_H_

#include "agent/proxy/http/h1_connection.h"
#include "agent/proxy/http/h2_limits.h"
#include "agent/proxy/limits.h"

namespace sallyport::proxy {

H1Limits H1LimitsOf(const ContainerLimits& limits);
H1Timeouts H1TimeoutsOf(const ContainerLimits& limits);
H2Limits H2LimitsOf(const ContainerLimits& limits);
H2Timeouts H2TimeoutsOf(const ContainerLimits& limits);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_HTTP_LIMITS_H_
