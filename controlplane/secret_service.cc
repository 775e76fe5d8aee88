#include "controlplane/secret_service.h"

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "common/base/status.h"
#include "common/base/strings.h"
#include "common/builtin/secret_reference.h"
#include "common/policy/effective_policy.h"
#include "common/policy/normalise.h"
#include "controlplane/mutation_call.h"
#include "controlplane/unary.h"

namespace sallyport {
namespace {

void CheckSecret(const v1::SetSecretRequest& request, Problems* problems) {
  problems->Add(ValidateName("name", request.name()));
  if (const absl::Status valid = CheckSecretValue(request.value()); !valid.ok()) {
    problems->Add("value", StrCat(ToStd(valid.message()), "; nothing was stored"));
  }
  CheckOptions(request.options(), problems);
}

}  // namespace

SecretService::Reactor* SecretService::SetSecret(Context* context,
                                                 const v1::SetSecretRequest* request,
                                                 v1::MutationResult* response) {
  Problems problems;
  CheckSecret(*request, &problems);
  if (!problems.empty()) return Answer(context, problems.ToStatus());
  const std::string name = request->name();
  const bool is_first = control_plane_->store->Read()->secrets.size() == 0;
  absl::StatusOr<std::string> sealed = control_plane_->sealer->Seal(
      name, request->value(),
      is_first ? SecretSealer::IfNoKey::kMake : SecretSealer::IfNoKey::kFail);
  if (!sealed.ok()) return Answer(context, sealed.status());
  // A fingerprint is stored as it is, and would tell a guess from the secret.
  const auto without_value = std::make_shared<v1::SetSecretRequest>();
  without_value->set_name(name);
  return StartMutation(
      control_plane_, context,
      {"SetSecret",
       without_value.get(),
       {ResourceId::Secret(name)},
       request->options(),
       [without_value, name, sealed = *std::move(sealed)](Transaction& transaction) {
         transaction.PutSecret(name, sealed);
         return absl::OkStatus();
       },
       [response](const State&, const v1::MutationResult& result) { *response = result; }});
}

SecretService::Reactor* SecretService::ListSecrets(Context* context, const v1::ListSecretsRequest*,
                                                   v1::ListSecretsResponse* response) {
  const std::shared_ptr<const State> state = control_plane_->store->Read();
  std::map<std::string, std::vector<std::string>> users;
  for (const auto& [handler, record] : state->handlers.Sorted()) {
    for (const std::string& secret : record->secrets) users[secret].push_back(handler);
  }
  for (const auto& [name, record] : state->secrets.Sorted()) {
    v1::ListSecretsResponse::Entry& entry = *response->add_secrets();
    entry.set_name(name);
    entry.set_revision(record->revision);
    for (const std::string& handler : users[name]) entry.add_handlers(handler);
  }
  return Answer(context, absl::OkStatus());
}

SecretService::Reactor* SecretService::DeleteSecret(Context* context,
                                                    const v1::DeleteSecretRequest* request,
                                                    v1::MutationResult* response) {
  Problems problems;
  problems.Add(ValidateName("name", request->name()));
  CheckOptions(request->options(), &problems);
  if (!problems.empty()) return Answer(context, problems.ToStatus());
  return StartMutation(
      control_plane_, context,
      {"DeleteSecret",
       request,
       {ResourceId::Secret(request->name())},
       request->options(),
       [request](Transaction& transaction) {
         transaction.DeleteSecret(request->name());
         return absl::OkStatus();
       },
       [response](const State&, const v1::MutationResult& result) { *response = result; }});
}

}  // namespace sallyport
