#include "common/cases/edit_step.h"

#include <map>
#include <variant>

#include "common/base/strings.h"

namespace sallyport::cases {
namespace {

using google::protobuf::ListValue;
using google::protobuf::Value;

template <typename Request>
using Edit = absl::Status (*)(const PolicyContext&, const Request&, v1::ContainerPolicy*);

const std::string& Text(const ListValue& arguments, int i) {
  return arguments.values(i).string_value();
}

void Fill(const ListValue& arguments, v1::HostRequest* request) {
  request->set_host(Text(arguments, 0));
}

void Fill(const ListValue& arguments, v1::HostsRequest* request) {
  for (const Value& host : arguments.values(0).list_value().values()) {
    request->add_hosts(host.string_value());
  }
}

void Fill(const ListValue&, v1::ContainerRequest*) {}

void Fill(const ListValue& arguments, v1::RemoveOutboundByHostRequest* request) {
  request->set_host(Text(arguments, 0));
}

void Fill(const ListValue& arguments, v1::SetOutboundByHostRequest* request) {
  request->set_host(Text(arguments, 0));
  request->set_handler(Text(arguments, 1));
  if (arguments.values_size() > 2) {
    *request->mutable_params() = arguments.values(2).struct_value();
  }
}

void Fill(const ListValue& arguments, v1::SetOutboundByHostsRequest* request) {
  for (const Value& given : arguments.values(0).list_value().values()) {
    const ListValue& fields = given.list_value();
    v1::HostRule& rule = *request->add_rules();
    rule.set_host(Text(fields, 0));
    rule.mutable_handler()->set_handler(Text(fields, 1));
    if (fields.values_size() > 2) {
      *rule.mutable_handler()->mutable_params() = fields.values(2).struct_value();
    }
  }
}

void Fill(const ListValue& arguments, v1::SetOutboundHandlerRequest* request) {
  request->set_handler(Text(arguments, 0));
  if (arguments.values_size() > 1) {
    *request->mutable_params() = arguments.values(1).struct_value();
  }
}

void Fill(const ListValue& arguments, v1::SetEnableInternetRequest* request) {
  if (arguments.values(0).has_bool_value()) {
    request->set_enable_internet(arguments.values(0).bool_value());
  }
}

void Fill(const ListValue& arguments, v1::InterceptRequest* request) {
  request->set_target(Text(arguments, 0));
  request->set_handler(Text(arguments, 1));
  if (arguments.values_size() > 2) {
    *request->mutable_params() = arguments.values(2).struct_value();
  }
}

// InterceptAll has no target: handler and params come first.
absl::Status InterceptAll(const PolicyContext& context, const v1::SetOutboundHandlerRequest& given,
                          v1::ContainerPolicy* policy) {
  v1::InterceptRequest request;
  request.set_handler(given.handler());
  if (given.has_params()) *request.mutable_params() = given.params();
  return ApplyInterceptAllOutboundHttp(context, request, policy);
}

using AnyEdit =
    std::variant<Edit<v1::HostRequest>, Edit<v1::HostsRequest>, Edit<v1::ContainerRequest>,
                 Edit<v1::RemoveOutboundByHostRequest>, Edit<v1::SetOutboundByHostRequest>,
                 Edit<v1::SetOutboundByHostsRequest>, Edit<v1::SetOutboundHandlerRequest>,
                 Edit<v1::SetEnableInternetRequest>, Edit<v1::InterceptRequest>>;

const std::map<std::string, AnyEdit>& Edits() {
  static const auto& edits = *new std::map<std::string, AnyEdit>{
      {"SetOutboundByHost", ApplySetOutboundByHost},
      {"SetOutboundByHosts", ApplySetOutboundByHosts},
      {"RemoveOutboundByHost", ApplyRemoveOutboundByHost},
      {"SetOutboundHandler", ApplySetOutboundHandler},
      {"ClearOutboundHandler", ApplyClearOutboundHandler},
      {"SetAllowedHosts", ApplySetAllowedHosts},
      {"SetDeniedHosts", ApplySetDeniedHosts},
      {"ClearAllowedHosts", ApplyClearAllowedHosts},
      {"ClearDeniedHosts", ApplyClearDeniedHosts},
      {"AllowHost", ApplyAllowHost},
      {"DenyHost", ApplyDenyHost},
      {"RemoveAllowedHost", ApplyRemoveAllowedHost},
      {"RemoveDeniedHost", ApplyRemoveDeniedHost},
      {"SetEnableInternet", ApplySetEnableInternet},
      {"InterceptOutboundHttp", ApplyInterceptOutboundHttp},
      {"InterceptOutboundHttps", ApplyInterceptOutboundHttps},
      {"InterceptAllOutboundHttp", InterceptAll},
      {"RemoveInterceptOutboundHttp", ApplyRemoveInterceptOutboundHttp},
      {"RemoveInterceptOutboundHttps", ApplyRemoveInterceptOutboundHttps},
      {"RemoveInterceptAllOutboundHttp", ApplyRemoveInterceptAllOutboundHttp},
  };
  return edits;
}

template <typename Request>
absl::Status Run(Edit<Request> edit, const PolicyContext& context, const ListValue& arguments,
                 v1::ContainerPolicy* policy) {
  Request request;
  Fill(arguments, &request);
  return edit(context, request, policy);
}

}  // namespace

absl::Status ApplyStep(const PolicyContext& context, const Step& step,
                       v1::ContainerPolicy* policy) {
  const auto edit = Edits().find(step.rpc);
  if (edit == Edits().end()) return absl::UnimplementedError(StrCat("no edit ", step.rpc));
  return std::visit([&](auto apply) { return Run(apply, context, step.arguments, policy); },
                    edit->second);
}

}  // namespace sallyport::cases
