#include "controlplane/container_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/base/strings.h"
#include "controlplane/store/memory_store.h"

namespace sallyport {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// web-0 … web-4 of class web, the even ones on host-1; batch-0 of class batch on host-2.
class ContainerListTest : public testing::Test {
 protected:
  ContainerListTest() {
    Write([](Transaction& transaction) {
      for (const char* name : {"web", "batch"}) {
        v1::ContainerClass value;
        value.set_name(name);
        transaction.PutClass(value);
      }
      v1::ContainerPolicy policy;
      policy.set_class_name("batch");
      policy.set_container_id("batch-0");
      transaction.PutContainer(policy);
      transaction.Place("batch-0", "host-2");
      policy.set_class_name("web");
      for (int i = 0; i < 5; ++i) {
        policy.set_container_id(StrCat("web-", i));
        transaction.PutContainer(policy);
        if (i % 2 == 0) transaction.Place(policy.container_id(), "host-1");
      }
    });
  }
  void Write(const std::function<void(Transaction&)>& edit) {
    ASSERT_TRUE(store_
                    ->Write([&](Transaction& transaction) {
                      edit(transaction);
                      return absl::OkStatus();
                    })
                    .ok());
  }
  absl::Status Fill() {
    response_.Clear();
    return FillContainerList(*store_->Read(), waiters_, request_, &response_);
  }
  std::vector<std::string> Ids() {
    const absl::Status status = Fill();
    EXPECT_TRUE(status.ok()) << status;
    std::vector<std::string> ids;
    for (const auto& one : response_.containers()) ids.push_back(one.policy().container_id());
    return ids;
  }

  const std::unique_ptr<Store> store_ = MakeMemoryStore();
  Waiters waiters_{store_.get()};
  v1::ListContainersRequest request_;
  v1::ListContainersResponse response_;
};

TEST_F(ContainerListTest, AllInOrderOfIds) {
  EXPECT_THAT(Ids(), ElementsAre("batch-0", "web-0", "web-1", "web-2", "web-3", "web-4"));
  EXPECT_EQ(response_.next_page_token(), "");
}

TEST_F(ContainerListTest, FiltersNarrowEachOtherDown) {
  request_.set_class_name("web");
  EXPECT_EQ(Ids().size(), 5u);
  request_.set_host("host-1");
  EXPECT_THAT(Ids(), ElementsAre("web-0", "web-2", "web-4"));
  request_.set_id_prefix("web-2");
  EXPECT_THAT(Ids(), ElementsAre("web-2"));
  request_.set_host("host-2");
  EXPECT_THAT(Ids(), IsEmpty());
  request_.set_host("host-9");
  EXPECT_THAT(Ids(), IsEmpty());
}

TEST_F(ContainerListTest, PagesGiveEachOnce) {
  request_.set_page_size(2);
  EXPECT_THAT(Ids(), ElementsAre("batch-0", "web-0"));
  request_.set_page_token(response_.next_page_token());
  EXPECT_THAT(Ids(), ElementsAre("web-1", "web-2"));
  request_.set_page_token(response_.next_page_token());
  EXPECT_THAT(Ids(), ElementsAre("web-3", "web-4"));
  EXPECT_EQ(response_.next_page_token(), "") << "nothing is left";
}

TEST_F(ContainerListTest, PageGoesOnAfterAContainerThatIsGone) {
  request_.set_page_size(2);
  Ids();
  request_.set_page_token(response_.next_page_token());
  Write([](Transaction& transaction) { transaction.DeleteContainer("web-0"); });
  EXPECT_THAT(Ids(), ElementsAre("web-1", "web-2"));
}

TEST_F(ContainerListTest, NotEnforced) {
  request_.set_not_enforced(true);
  EXPECT_THAT(Ids(), ElementsAre("batch-0", "web-0", "web-2", "web-4"));
  const uint64_t revision = store_->Read()->revision;
  waiters_.Report("host-2", waiters_.Connected("host-2"), {revision, {}});
  EXPECT_THAT(Ids(), ElementsAre("web-0", "web-2", "web-4"));
  waiters_.Report("host-1", waiters_.Connected("host-1"),
                  {revision, {{ResourceId::Container("web-2"), "no"}}});
  EXPECT_THAT(Ids(), ElementsAre("web-2"));
  request_.set_page_size(1);
  EXPECT_THAT(Ids(), ElementsAre("web-2"));
  EXPECT_EQ(response_.next_page_token(), "") << "none of those that follow passes";
}

TEST_F(ContainerListTest, LargePolicies) {
  Write([](Transaction& transaction) {
    v1::ContainerPolicy policy;
    policy.set_class_name("web");
    for (int i = 0; i < 3; ++i) {
      policy.set_container_id(StrCat("web-", i));
      policy.mutable_allowed_hosts()->mutable_replace()->clear_hosts();
      policy.mutable_allowed_hosts()->mutable_replace()->add_hosts(std::string(1 << 20, 'x'));
      transaction.PutContainer(policy);
    }
  });
  // The list is there twice, as a rule and as what it comes to.
  EXPECT_THAT(Ids(), ElementsAre("batch-0", "web-0"));
  request_.set_page_token(response_.next_page_token());
  EXPECT_THAT(Ids(), ElementsAre("web-1"));
}

TEST_F(ContainerListTest, TokensAreChecked) {
  request_.set_page_size(1);
  Ids();
  const std::string token = response_.next_page_token();
  request_.set_page_size(3);
  request_.set_page_token(token);
  EXPECT_THAT(Ids(), ElementsAre("web-0", "web-1", "web-2")) << "another size is no other filter";

  request_.set_class_name("web");
  EXPECT_EQ(Fill().code(), absl::StatusCode::kInvalidArgument) << "of other filters";
  request_.clear_class_name();
  for (const std::string& wrong : {std::string("web-0"), std::string("%%"), token.substr(0, 20),
                                   token + "AAAA", token.substr(0, token.size() - 1)}) {
    request_.set_page_token(wrong);
    const absl::Status status = Fill();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << wrong;
    EXPECT_THAT(std::string(status.message()), HasSubstr("page_token: "));
  }
}

TEST_F(ContainerListTest, EveryWrongFieldIsNamed) {
  request_.set_class_name("no class");
  request_.set_id_prefix("a/b");
  request_.set_page_size(-1);
  request_.set_page_token("x");
  const std::string message(Fill().message());
  for (const char* field : {"class_name: ", "\nid_prefix: ", "\npage_size: ", "\npage_token: "}) {
    EXPECT_THAT(message, HasSubstr(field));
  }
}

}  // namespace
}  // namespace sallyport
