#include "agent/proxy/tls/stapled_ocsp.h"

#include <openssl/bytestring.h>

#include <cstdint>

namespace sallyport::proxy {
namespace {

// RFC 6960 section 4.2.1.
constexpr unsigned kExplicit0 = CBS_ASN1_CONTEXT_SPECIFIC | CBS_ASN1_CONSTRUCTED | 0;
constexpr unsigned kRevoked = CBS_ASN1_CONTEXT_SPECIFIC | CBS_ASN1_CONSTRUCTED | 1;
// id-pkix-ocsp-basic, 1.3.6.1.5.5.7.48.1.1.
constexpr uint8_t kBasicResponse[] = {0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01};

bool IsEqual(const CBS& element, std::string_view bytes) {
  return CBS_mem_equal(&element, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()) != 0;
}

// From an OCSPResponse to the SingleResponses of its ResponseData.
bool ReadResponses(std::string_view response, CBS* responses) {
  CBS cbs, outer, wrapped, bytes, type, octets, basic, data, responder;
  CBS_init(&cbs, reinterpret_cast<const uint8_t*>(response.data()), response.size());
  return CBS_get_asn1(&cbs, &outer, CBS_ASN1_SEQUENCE) &&
         CBS_get_asn1(&outer, nullptr, CBS_ASN1_ENUMERATED) &&
         CBS_get_asn1(&outer, &wrapped, kExplicit0) &&
         CBS_get_asn1(&wrapped, &bytes, CBS_ASN1_SEQUENCE) &&
         CBS_get_asn1(&bytes, &type, CBS_ASN1_OBJECT) &&
         CBS_mem_equal(&type, kBasicResponse, sizeof(kBasicResponse)) &&
         CBS_get_asn1(&bytes, &octets, CBS_ASN1_OCTETSTRING) &&
         CBS_get_asn1(&octets, &basic, CBS_ASN1_SEQUENCE) &&
         CBS_get_asn1(&basic, &data, CBS_ASN1_SEQUENCE) &&
         CBS_get_optional_asn1(&data, nullptr, nullptr, kExplicit0) &&
         CBS_get_any_asn1(&data, &responder, nullptr) &&
         CBS_get_asn1(&data, nullptr, CBS_ASN1_GENERALIZEDTIME) &&
         CBS_get_asn1(&data, responses, CBS_ASN1_SEQUENCE);
}

}  // namespace

bool SaysRevoked(std::string_view response, std::string_view serial_number) {
  CBS responses;
  if (!ReadResponses(response, &responses)) return false;
  while (CBS_len(&responses) != 0) {
    CBS single, id, serial;
    if (!CBS_get_asn1(&responses, &single, CBS_ASN1_SEQUENCE) ||
        !CBS_get_asn1(&single, &id, CBS_ASN1_SEQUENCE) ||
        !CBS_get_asn1(&id, nullptr, CBS_ASN1_SEQUENCE) ||     // The hash's algorithm,
        !CBS_get_asn1(&id, nullptr, CBS_ASN1_OCTETSTRING) ||  // the issuer's name, hashed,
        !CBS_get_asn1(&id, nullptr, CBS_ASN1_OCTETSTRING) ||  // and its key.
        !CBS_get_asn1_element(&id, &serial, CBS_ASN1_INTEGER)) {
      return false;
    }
    if (IsEqual(serial, serial_number) && CBS_peek_asn1_tag(&single, kRevoked)) return true;
  }
  return false;
}

}  // namespace sallyport::proxy
