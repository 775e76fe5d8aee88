// What a stapled OCSP response (RFC 6960) says of a certificate.

#ifndef SALLYPORT_AGENT_PROXY_TLS_STAPLED_OCSP_H_
#define SALLYPORT_AGENT_PROXY_TLS_STAPLED_OCSP_H_

#include <string_view>

namespace sallyport::proxy {

// Whether `response`, DER, says that the certificate with that serial number (its INTEGER, DER) is
// revoked. Who signed the response, and when, is not looked at: it comes from the server itself, so
// a false one harms only whoever sends it, and an attacker would send none. What cannot be read
// says nothing.
bool SaysRevoked(std::string_view response, std::string_view serial_number);

}  // namespace sallyport::proxy

#endif  // SALLYPORT_AGENT_PROXY_TLS_STAPLED_OCSP_H_
