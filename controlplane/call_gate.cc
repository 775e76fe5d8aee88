#include "controlplane/call_gate.h"

#include <grpc/grpc.h>
#include <grpc/grpc_security.h>

#include <atomic>
#include <string>
#include <string_view>

#include "common/base/check.h"
#include "common/base/mutex.h"

namespace sallyport {
namespace {

std::string_view TextOf(const grpc_slice& slice) {
  return {reinterpret_cast<const char*>(GRPC_SLICE_START_PTR(slice)), GRPC_SLICE_LENGTH(slice)};
}

std::string MethodOf(const grpc_metadata* metadata, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    if (TextOf(metadata[i].key) == ":path") return std::string(TextOf(metadata[i].value));
  }
  return "";
}

// The caller's certificate, as gRPC has it from the handshake; empty if there is none, or two.
std::string CertificateOf(const grpc_auth_context* connection) {
  grpc_auth_property_iterator it =
      grpc_auth_context_find_properties_by_name(connection, GRPC_X509_PEM_CERT_PROPERTY_NAME);
  const grpc_auth_property* const property = grpc_auth_property_iterator_next(&it);
  if (property == nullptr || grpc_auth_property_iterator_next(&it) != nullptr) return "";
  return {property->value, property->value_length};
}

// gRPC's own C++ classes cannot take a new certificate safely: its file watcher drops the former
// pair before it has found the new one good. The C interface below them can, and asks for each
// connection.
class GatedTlsCredentials final : public grpc::ServerCredentials {
 public:
  GatedTlsCredentials(pki::TlsFiles* files, const Authorizer* authorizer)
      : files_(files),
        authorizer_(authorizer),
        credentials_(grpc_ssl_server_credentials_create_with_options(
            grpc_ssl_server_credentials_create_options_using_config_fetcher(
                GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY, &FetchConfig, this))) {
    SALLYPORT_CHECK(credentials_ != nullptr);
    grpc_server_credentials_set_auth_metadata_processor(
        credentials_, {.process = &Process, .destroy = nullptr, .state = this});
  }
  ~GatedTlsCredentials() override { grpc_server_credentials_release(credentials_); }

  // The gate is not to be replaced.
  void SetAuthMetadataProcessor(const std::shared_ptr<grpc::AuthMetadataProcessor>&) override {
    SALLYPORT_CHECK(false);
  }

 private:
  int AddPortToServer(const std::string& address, grpc_server* server) override {
    return grpc_server_add_http2_port(server, address.c_str(), credentials_);
  }

  static grpc_ssl_certificate_config_reload_status FetchConfig(
      void* self, grpc_ssl_server_certificate_config** config) {
    return static_cast<GatedTlsCredentials*>(self)->Fetch(config);
  }

  grpc_ssl_certificate_config_reload_status Fetch(grpc_ssl_server_certificate_config** config) {
    std::shared_ptr<const pki::TlsMaterial> material = files_->Current();
    MutexLock lock(&mutex_);
    if (material == given_) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    const grpc_ssl_pem_key_cert_pair pair = {material->key_pem.c_str(),
                                             material->certificate_pem.c_str()};
    *config =
        grpc_ssl_server_certificate_config_create(material->authorities_pem.c_str(), &pair, 1);
    if (*config == nullptr) return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_FAIL;
    given_ = std::move(material);
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
  }

  static void Process(void* self, grpc_auth_context* connection, const grpc_metadata* metadata,
                      size_t count, grpc_process_auth_metadata_done_cb done, void* user_data) {
    const Authorizer& authorizer = *static_cast<GatedTlsCredentials*>(self)->authorizer_;
    const absl::Status status = authorizer.CheckCall(
        authorizer.authenticator().WhoHas(CertificateOf(connection)), MethodOf(metadata, count));
    done(user_data, nullptr, 0, nullptr, 0, static_cast<grpc_status_code>(status.code()),
         status.ok() ? nullptr : std::string(status.message()).c_str());
  }

  pki::TlsFiles* const files_;
  const Authorizer* const authorizer_;
  grpc_server_credentials* const credentials_;
  Mutex mutex_;
  std::shared_ptr<const pki::TlsMaterial> given_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

std::shared_ptr<grpc::ServerCredentials> MakeGatedTlsCredentials(pki::TlsFiles* files,
                                                                 const Authorizer* authorizer) {
  return std::make_shared<GatedTlsCredentials>(files, authorizer);
}

}  // namespace sallyport
