//! What can be asked for. Kept as tables, so that a document is checked before anything runs.

/// A type with fields.
#[derive(Debug)]
pub(crate) struct Type {
    pub(crate) name: &'static str,
    fields: &'static [Known],
}

/// A field of a type.
#[derive(Debug)]
pub(crate) struct Known {
    name: &'static str,
    /// The type of what it holds, where that has fields itself.
    pub(crate) of: Option<&'static Type>,
    pub(crate) arguments: &'static [&'static str],
}

impl Type {
    pub(crate) fn field(&self, name: &str) -> Option<&Known> {
        const TYPENAME: &Known = &leaf("__typename");
        if name == "__typename" {
            return Some(TYPENAME);
        }
        self.fields.iter().find(|known| known.name == name)
    }
}

const fn leaf(name: &'static str) -> Known {
    Known { name, of: None, arguments: &[] }
}

const fn object(name: &'static str, of: &'static Type) -> Known {
    Known { name, of: Some(of), arguments: &[] }
}

impl Known {
    const fn taking(self, arguments: &'static [&'static str]) -> Self {
        Self { arguments, ..self }
    }
}

pub(crate) static QUERY: Type = Type {
    name: "Query",
    fields: &[
        object("item", &ITEM).taking(&["key", "lang"]),
        object("itemsByKeys", &ITEM).taking(&["keys", "lang"]),
        object("items", &ITEM).taking(&["keys", "lang"]),
        object("allItems", &ITEMS).taking(&[
            "first",
            "last",
            "after",
            "before",
            "dateFrom",
            "dateTo",
            "minPrice",
            "maxPrice",
            "search",
            "vendor",
            "status",
            "category",
            "attributes",
            "vcode",
            "vprdcode",
            "shippingLocationType",
            "openmarketSellable",
            "grade",
            "sortBy",
            "lang",
            "currency",
            "isUsed",
        ]),
        object("itemHistories", &HISTORIES)
            .taking(&["first", "after", "dateFrom", "dateTo", "kind", "itemKey"]),
        object("category", &CATEGORY).taking(&["key"]),
        object("allCategories", &CATEGORIES).taking(&["first", "after"]),
        object("order", &ORDER).taking(&["key"]),
        object("allOrders", &ORDERS).taking(&[
            "first",
            "after",
            "note",
            "sellerNote",
            "status",
            "dateFrom",
            "dateTo",
            "shippedAfter",
            "shippedBefore",
        ]),
        object("simulateCreateOrder", &SIMULATION).taking(&["input"]),
    ],
};

pub(crate) static MUTATION: Type = Type {
    name: "Mutation",
    fields: &[
        object("createOrder", &ORDER).taking(&["input", "simulationResult"]),
        object("simulateCreateOrder", &SIMULATION).taking(&["input"]),
        object("cancelOrder", &ORDER).taking(&["key"]),
        object("requestOrderCancellation", &ORDER).taking(&["key", "input"]),
        object("updateOrderNotes", &ORDER).taking(&["key", "input"]),
        object("requestRefundOrExchange", &ORDER).taking(&["key", "input"]),
        object("checkOrder", &ORDER).taking(&["key"]),
    ],
};

static PAGE_INFO: Type = Type {
    name: "PageInfo",
    fields: &[leaf("hasNextPage"), leaf("hasPreviousPage"), leaf("startCursor"), leaf("endCursor")],
};

static ITEMS: Type = Type {
    name: "ItemConnection",
    fields: &[object("pageInfo", &PAGE_INFO), object("edges", &ITEM_EDGE)],
};

static ITEM_EDGE: Type =
    Type { name: "ItemEdge", fields: &[leaf("cursor"), object("node", &ITEM)] };

static ITEM: Type = Type {
    name: "Item",
    fields: &[
        leaf("id"),
        leaf("key"),
        leaf("createdAt"),
        leaf("updatedAt"),
        leaf("name"),
        leaf("model"),
        leaf("production"),
        leaf("origin"),
        leaf("price"),
        leaf("fixedPrice"),
        leaf("pricePolicy"),
        leaf("searchKeywords"),
        leaf("content"),
        leaf("shippingFee"),
        leaf("shippingType"),
        leaf("status"),
        object("options", &OPTION),
        leaf("isPublic"),
        leaf("taxFree"),
        leaf("adultOnly"),
        leaf("returnable"),
        leaf("noReturnReason"),
        leaf("guaranteedShippingPeriod"),
        leaf("openmarketSellable"),
        leaf("boxQuantity"),
        leaf("attributes"),
        leaf("closingTime"),
        leaf("returnCriteria"),
        leaf("metadata"),
        leaf("images").taking(&["size"]),
        object("category", &CATEGORY),
    ],
};

static OPTION: Type = Type {
    name: "ItemOption",
    fields: &[
        leaf("key"),
        leaf("quantity"),
        leaf("status"),
        leaf("price"),
        object("optionAttributes", &OPTION_ATTRIBUTE),
    ],
};

static OPTION_ATTRIBUTE: Type =
    Type { name: "OptionAttribute", fields: &[leaf("name"), leaf("value")] };

static HISTORIES: Type = Type {
    name: "ItemHistoryConnection",
    fields: &[object("pageInfo", &PAGE_INFO), object("edges", &HISTORY_EDGE)],
};

static HISTORY_EDGE: Type =
    Type { name: "ItemHistoryEdge", fields: &[leaf("cursor"), object("node", &HISTORY)] };

static HISTORY: Type = Type {
    name: "ItemHistory",
    fields: &[
        leaf("itemKey"),
        leaf("kind"),
        leaf("title"),
        leaf("valueBefore"),
        leaf("valueAfter"),
        leaf("createdAt"),
    ],
};

static CATEGORY: Type = Type {
    name: "Category",
    fields: &[
        leaf("key"),
        leaf("name"),
        leaf("fullName"),
        object("descendants", &CATEGORIES).taking(&["first", "after"]),
    ],
};

static CATEGORIES: Type = Type {
    name: "CategoryConnection",
    fields: &[object("pageInfo", &PAGE_INFO), object("edges", &CATEGORY_EDGE)],
};

static CATEGORY_EDGE: Type =
    Type { name: "CategoryEdge", fields: &[leaf("cursor"), object("node", &CATEGORY)] };

static SIMULATION: Type = Type {
    name: "OrderSimulation",
    fields: &[
        object("itemAmounts", &ITEM_AMOUNT),
        leaf("shippingAmount"),
        leaf("extraShippingFeeExists"),
    ],
};

static ITEM_AMOUNT: Type = Type { name: "ItemAmount", fields: &[leaf("amount"), leaf("itemKey")] };

static ORDERS: Type = Type {
    name: "OrderConnection",
    fields: &[object("pageInfo", &PAGE_INFO), object("edges", &ORDER_EDGE)],
};

static ORDER_EDGE: Type =
    Type { name: "OrderEdge", fields: &[leaf("cursor"), object("node", &ORDER)] };

static ORDER: Type = Type {
    name: "Order",
    fields: &[
        leaf("id"),
        leaf("key"),
        leaf("status"),
        leaf("createdAt"),
        leaf("updatedAt"),
        leaf("note"),
        leaf("ordererNote"),
        leaf("sellerNote"),
        leaf("isBeingMediated"),
        object("products", &ORDER_PRODUCT),
        object("shippingInfo", &SHIPPING_INFO),
        object("adjustments", &ADJUSTMENT),
        object("refundDetails", &ADJUSTMENT),
        object("transactions", &TRANSACTION),
    ],
};

static ORDER_PRODUCT: Type = Type {
    name: "OrderProduct",
    fields: &[
        leaf("key"),
        leaf("quantity"),
        leaf("price"),
        leaf("shippingType"),
        leaf("itemKey"),
        leaf("productName"),
        object("itemOptionInfo", &OPTION_INFO),
        leaf("trackingNumber"),
        leaf("shippingCompanyCode"),
        leaf("shippingCompanyName"),
        leaf("shippedDate"),
        object("additionalAttributes", &ADDITIONAL),
        leaf("taxFree"),
        leaf("sellerNote"),
    ],
};

static ADDITIONAL: Type =
    Type { name: "AdditionalAttribute", fields: &[leaf("key"), leaf("value")] };

static OPTION_INFO: Type = Type {
    name: "ItemOptionInfo",
    fields: &[object("optionAttributes", &OPTION_ATTRIBUTE), leaf("price")],
};

static SHIPPING_INFO: Type = Type {
    name: "ShippingInfo",
    fields: &[object("sender", &SENDER), object("recipient", &RECIPIENT), leaf("shippingFee")],
};

static SENDER: Type =
    Type { name: "Sender", fields: &[leaf("name"), leaf("phoneNumber"), leaf("email")] };

static RECIPIENT: Type = Type {
    name: "Recipient",
    fields: &[leaf("name"), leaf("phoneNumber"), object("destinationAddress", &ADDRESS)],
};

static ADDRESS: Type =
    Type { name: "Address", fields: &[leaf("addr1"), leaf("addr2"), leaf("postalCode")] };

static ADJUSTMENT: Type =
    Type { name: "Adjustment", fields: &[leaf("reason"), leaf("price"), leaf("taxFree")] };

static TRANSACTION: Type = Type {
    name: "Transaction",
    fields: &[
        leaf("key"),
        leaf("id"),
        leaf("kind"),
        leaf("status"),
        object("amount", &AMOUNT),
        leaf("createdAt"),
        leaf("updatedAt"),
        leaf("closedAt"),
        leaf("note"),
    ],
};

static AMOUNT: Type = Type { name: "Amount", fields: &[leaf("currency"), leaf("value")] };
