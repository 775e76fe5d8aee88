// Certificates as the CA issues them, and as it does not: what counts as an identity, and whom we
// trust.

#include "common/pki/certificate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/pki/authority.h"
#include "common/pki/testing/raw_certificate.h"
#include "common/pki/trust.h"

namespace sallyport::pki {
namespace {

using std::chrono::hours;
using std::chrono::system_clock;
using testing::ElementsAre;
using testing::HasSubstr;

class CertificateTest : public testing::Test {
 protected:
  CertificateAndKey Issue(Role role, const std::vector<std::string>& names,
                          const std::vector<std::string>& dns = {},
                          const std::vector<std::string>& addresses = {}) const {
    CertificateRequest request = {*MakeIdentity(role, names), dns, addresses, hours(10)};
    return *Authority::FromPem(ca_)->Issue(request, now_);
  }
  absl::Status Verify(const std::string& pem, Role role, Time now) const {
    return Trust::FromPem(ca_.certificate_pem, "")->Verify("it", pem, role, now);
  }
  static Certificate Parse(const CertificateAndKey& pair) {
    return *Certificate::FromPem(pair.certificate_pem);
  }

  const Time now_ = system_clock::now();
  const CertificateAndKey ca_ = *MakeAuthority(hours(100), now_);
};

TEST_F(CertificateTest, EveryRoleIsItself) {
  for (const Role role : kRoles) {
    const bool server = role == Role::kServer;
    const auto dns = server ? std::vector<std::string>{"cp.internal"} : std::vector<std::string>();
    const CertificateAndKey pair = Issue(role, {"x-1"}, dns);
    const auto identity = Parse(pair).identity();
    ASSERT_TRUE(identity.ok()) << identity.status();
    EXPECT_EQ(identity->role, role);
    EXPECT_THAT(identity->names, ElementsAre("x-1"));
    EXPECT_TRUE(Verify(pair.certificate_pem, role, now_).ok());
    // Nor is it good for the other side of a connection.
    const Role other = server ? Role::kAdmin : Role::kServer;
    EXPECT_THAT(std::string(Verify(pair.certificate_pem, other, now_).message()),
                HasSubstr("purpose"));
  }
}

TEST_F(CertificateTest, CoversTheHostsItNames) {
  const Certificate server =
      Parse(Issue(Role::kServer, {"cp"}, {"cp.internal"}, {"192.0.2.1", "2001:db8::1"}));
  for (const char* host : {"cp.internal", "CP.internal", "192.0.2.1", "2001:db8::1"}) {
    EXPECT_TRUE(server.CoversHost(host)) << host;
  }
  for (const char* host : {"cp", "x.cp.internal", "internal", "192.0.2.2", "", "server cp"}) {
    EXPECT_FALSE(server.CoversHost(host)) << host;
  }
  EXPECT_THAT(server.hosts(), ElementsAre("DNS:cp.internal", "IP:192.0.2.1", "IP:2001:db8::1"));
}

TEST_F(CertificateTest, NeitherCommonNamesNorWildcardsCover) {
  RawCertificate raw;
  raw.common_name = "cp.internal";
  EXPECT_FALSE(Parse(SignRaw(ca_, raw)).CoversHost("cp.internal"));
  raw.alternative_names = "DNS:*.internal";
  EXPECT_FALSE(Parse(SignRaw(ca_, raw)).CoversHost("cp.internal"));
}

TEST_F(CertificateTest, NoIdentity) {
  struct Case {
    RawCertificate raw;
    const char* why;
  };
  RawCertificate common_name_only;
  common_name_only.common_name = "sallyport://admin/x";
  RawCertificate no_usage;
  no_usage.alternative_names = "URI:sallyport://admin/x";
  no_usage.usage = "";
  RawCertificate any_usage = no_usage;
  any_usage.usage = "anyExtendedKeyUsage";
  RawCertificate wrong_usage = no_usage;
  wrong_usage.usage = "serverAuth";
  RawCertificate wrong_server;
  wrong_server.alternative_names = "URI:sallyport://server/x";
  RawCertificate two_roles;
  two_roles.alternative_names = "URI:sallyport://admin/x,URI:sallyport://viewer/x";
  RawCertificate dns_only;
  dns_only.alternative_names = "DNS:admin";
  RawCertificate authority = no_usage;
  authority.usage = "clientAuth";
  authority.authority = true;
  const Case cases[] = {
      {common_name_only, "no identity"}, {no_usage, "clientAuth"},     {any_usage, "clientAuth"},
      {wrong_usage, "clientAuth"},       {wrong_server, "serverAuth"}, {two_roles, "two roles"},
      {dns_only, "no identity"},         {authority, "CA's"},
  };
  for (const Case& one : cases) {
    const auto identity = Parse(SignRaw(ca_, one.raw)).identity();
    EXPECT_EQ(identity.status().code(), absl::StatusCode::kUnauthenticated);
    EXPECT_THAT(std::string(identity.status().message()), HasSubstr(one.why));
  }
}

TEST_F(CertificateTest, ClocksThatAreOffAreNamed) {
  const std::string pem = Issue(Role::kAdmin, {"x"}).certificate_pem;
  EXPECT_TRUE(Verify(pem, Role::kAdmin, now_ - hours(1) + std::chrono::minutes(1)).ok());
  EXPECT_THAT(std::string(Verify(pem, Role::kAdmin, now_ - hours(48)).message()),
              HasSubstr("this machine's clock says"));
  EXPECT_THAT(std::string(Verify(pem, Role::kAdmin, now_ + hours(11)).message()),
              HasSubstr("has expired on"));
}

TEST_F(CertificateTest, NeverLongerThanTheAuthority) {
  const CertificateRequest request = {*MakeIdentity(Role::kAdmin, {"x"}), {}, {}, hours(1000)};
  const auto issued = Authority::FromPem(ca_)->Issue(request, now_);
  EXPECT_EQ(Parse(*issued).not_after(), Parse(ca_).not_after());
}

TEST_F(CertificateTest, AnotherAuthorityIsNotBelieved) {
  const CertificateAndKey other = *MakeAuthority(hours(100), now_);
  RawCertificate raw;
  raw.alternative_names = "URI:sallyport://admin/x";
  EXPECT_TRUE(Verify(SignRaw(ca_, raw).certificate_pem, Role::kAdmin, now_).ok());
  EXPECT_FALSE(Verify(SignRaw(other, raw).certificate_pem, Role::kAdmin, now_).ok());
  // Nor one that it brings along.
  EXPECT_FALSE(
      Verify(SignRaw(other, raw).certificate_pem + other.certificate_pem, Role::kAdmin, now_).ok());
}

TEST_F(CertificateTest, RequestsThatAreRefused) {
  const Authority authority = *Authority::FromPem(ca_);
  const Identity server = *MakeIdentity(Role::kServer, {"cp"});
  const Identity agent = *MakeIdentity(Role::kAgent, {"host-7"});
  for (const CertificateRequest& request : std::vector<CertificateRequest>{
           {server, {}, {}, hours(1)},
           {server, {"a,URI:sallyport://admin/x"}, {}, hours(1)},
           {server, {"*.internal"}, {}, hours(1)},
           {server, {}, {"192.0.2"}, hours(1)},
           {agent, {"host-7"}, {}, hours(1)},
       }) {
    EXPECT_EQ(authority.Issue(request, now_).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST_F(CertificateTest, RevokedOnesAreRefused) {
  const Authority authority = *Authority::FromPem(ca_);
  const CertificateAndKey first = Issue(Role::kAdmin, {"x"});
  const CertificateAndKey second = Issue(Role::kAdmin, {"x"});
  const CertificateAndKey third = Issue(Role::kAdmin, {"x"});
  std::string list = *authority.Revoke("", {Parse(first)}, now_);
  list = *authority.Revoke(list, {Parse(second), Parse(first)}, now_);
  const auto trust = Trust::FromPem(ca_.certificate_pem, list);
  ASSERT_TRUE(trust.ok()) << trust.status();
  for (const CertificateAndKey& pair : {first, second}) {
    EXPECT_THAT(
        std::string(trust->Verify("it", pair.certificate_pem, Role::kAdmin, now_).message()),
        HasSubstr("revoked"));
  }
  EXPECT_TRUE(trust->Verify("it", third.certificate_pem, Role::kAdmin, now_).ok());
}

TEST_F(CertificateTest, ListsOfOthersAreRefused) {
  const CertificateAndKey other = *MakeAuthority(hours(100), now_);
  const std::string list = *Authority::FromPem(other)->Revoke("", {}, now_);
  EXPECT_FALSE(Trust::FromPem(ca_.certificate_pem, list).ok());
  EXPECT_FALSE(Trust::FromPem(ca_.certificate_pem, "nonsense").ok());
  const Certificate of_ours = Parse(Issue(Role::kAdmin, {"x"}));
  EXPECT_FALSE(Authority::FromPem(other)->Revoke("", {of_ours}, now_).ok());
}

}  // namespace
}  // namespace sallyport::pki
