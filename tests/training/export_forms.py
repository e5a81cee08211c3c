"""Files of known exports, made after their public descriptions: their headers, in which some columns tell of fraud."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

ROWS = 2000
DAYS = 60
STRIPE = (
    "id,Description,Seller Message,Created (UTC),Amount,Amount Refunded,Currency,Converted Amount,"
    "Converted Amount Refunded,Fee,Tax,Converted Currency,Mode,Status,Statement Descriptor,Customer ID,"
    "Customer Description,Customer Email,Captured,Card ID,Card Last4,Card Brand,Card Funding,Card Exp Month,"
    "Card Exp Year,Card Name,Card Address Line1,Card Address Line2,Card Address City,Card Address State,"
    "Card Address Country,Card Address Zip,Card Issue Country,Card Fingerprint,Card CVC Status,Card AVS Zip Status,"
    "Card AVS Line1 Status,Card Tokenization Method,Disputed Amount,Dispute Status,Dispute Reason,Dispute Date (UTC),"
    "Dispute Evidence Due (UTC),Invoice ID,Payment Source Type,Destination,Transfer,Transfer Group,PaymentIntent ID"
)
ADYEN = (
    "Company Account,Merchant Account,Psp Reference,Merchant Reference,Payment Method,Creation Date,TimeZone,Currency,"
    "Amount,Type,Risk Scoring,Shopper Interaction,Shopper Name,Shopper PAN,Shopper IP,Shopper Country,Issuer Name,"
    "Issuer Id,Issuer City,Issuer Country,Acquirer Response,Authorisation Code,Shopper Email,Shopper Reference,"
    "3D Directory Response,3D Authentication Response,CVC2 Response,AVS Response,Billing Street,is_fraud"
)
AMAZON_TRANSACTIONS = (
    "EVENT_LABEL,EVENT_TIMESTAMP,LABEL_TIMESTAMP,EVENT_ID,ENTITY_TYPE,ENTITY_ID,card_bin,customer_name,billing_street,"
    "billing_city,billing_state,billing_zip,billing_latitude,billing_longitude,billing_country,customer_job,ip_address,"
    "customer_email,billing_phone,user_agent,product_category,order_price,payment_currency,merchant"
)
AMAZON_REGISTRATIONS = (
    "ip_address,email_address,billing_state,user_agent,billing_postal,phone_number,EVENT_TIMESTAMP,billing_address,"
    "EVENT_LABEL"
)
SPARKOV = (
    ",trans_date_trans_time,cc_num,merchant,category,amt,first,last,gender,street,city,state,zip,lat,long,city_pop,job,"
    "dob,trans_num,unix_time,merch_lat,merch_long,is_fraud"
)
BAF = (
    "fraud_bool,income,name_email_similarity,prev_address_months_count,current_address_months_count,customer_age,"
    "days_since_request,intended_balcon_amount,payment_type,zip_count_4w,velocity_6h,velocity_24h,velocity_4w,"
    "bank_branch_count_8w,date_of_birth_distinct_emails_4w,employment_status,credit_risk_score,email_is_free,"
    "housing_status,phone_home_valid,phone_mobile_valid,bank_months_count,has_other_cards,proposed_credit_limit,"
    "foreign_request,source,session_length_in_minutes,device_os,keep_alive_session,device_distinct_emails_8w,"
    "device_fraud_count,month"
)
ISO_8583 = "de37_retrieval_reference_number,DE 12,de2_token,de2_bin,DE3,DE4,DE11,DE18,DE22,DE39,DE41,DE42,DE49,is_fraud"
PAYSIM = (
    "step,type,amount,nameOrig,oldbalanceOrg,newbalanceOrig,nameDest,oldbalanceDest,newbalanceDest,isFraud,"
    "isFlaggedFraud"
)
IEEE_CIS = (
    "TransactionID,isFraud,TransactionDT,TransactionAmt,ProductCD,card1,card2,card3,card4,card5,card6,addr1,addr2,"
    "dist1,dist2,P_emaildomain,R_emaildomain"
)
FDB = "EVENT_ID,EVENT_TIMESTAMP,ENTITY_ID,ENTITY_TYPE,EVENT_LABEL,LABEL_TIMESTAMP,num_following"


class Draw:
    """What the rows of a file are drawn from: a tenth are frauds, and rows are in order of time."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(3)
        self.fraud = self.rng.random(ROWS) < 0.1
        self.seconds = np.linspace(0, DAYS * 86_400 - 1, ROWS).astype(int)
        self.amount = self.rng.lognormal(np.where(self.fraud, 4.5, 3.0), 0.8).round(2)

    def times(self, form: str, after: int = 0) -> NDArray[Any]:
        """The moments, so many days after their transactions."""
        when = pd.Timestamp("2025-01-06") + pd.to_timedelta(self.seconds + after * 86_400, unit="s")
        return np.asarray(when.strftime(form))

    def some(self, *words: str) -> NDArray[Any]:
        """Any of them, the last mostly in frauds."""
        usual, odd = self.rng.choice(words[:-1], ROWS), self.rng.random(ROWS) < np.where(self.fraud, 0.7, 0.1)
        return np.where(odd, words[-1], usual)

    def who(self, form: str, many: int = 300) -> NDArray[Any]:
        """One of many, whose number goes into the form."""
        return np.array([form.format(number) for number in self.rng.integers(many, size=ROWS)])

    def ids(self, form: str) -> NDArray[Any]:
        """Another in each row."""
        return np.array([form.format(number) for number in range(ROWS)])

    def labels(self, fraud: str, genuine: str) -> NDArray[Any]:
        """The words of the label."""
        return np.where(self.fraud, fraud, genuine)

    def normal(self) -> NDArray[np.float64]:
        """A number that is higher in frauds."""
        return np.asarray(self.rng.normal(np.where(self.fraud, 1.0, 0.0), 1.0).round(6))


def _file(header: str | Sequence[str], columns: Mapping[str, object]) -> pd.DataFrame:
    """A file with this header; columns of which nothing is said are empty."""
    names = header.split(",") if isinstance(header, str) else header
    return pd.DataFrame({name: columns.get(name, "") for name in names}, index=range(ROWS))


def stripe() -> pd.DataFrame:
    """The Dashboard's payments with all columns; most have no dispute."""
    draw = Draw()
    reason = np.where(draw.fraud, "fraudulent", np.where(draw.rng.random(ROWS) < 0.02, "product_not_received", ""))
    return _file(STRIPE, {
        "id": draw.ids("ch_{:08x}"), "Created (UTC)": draw.times("%Y-%m-%d %H:%M"), "Amount": draw.amount,
        "Amount Refunded": "0.00", "Currency": draw.some("usd", "eur"), "Converted Amount": draw.amount,
        "Converted Currency": "usd", "Mode": "Live", "Status": "Paid", "Captured": "true",
        "Customer Email": draw.who("shopper{}@example.com"), "Card Fingerprint": draw.who("fp{:04x}"),
        "Card Brand": draw.some("Visa", "MasterCard"), "Card Funding": draw.some("credit", "debit", "prepaid"),
        "Card Issue Country": draw.some("US", "DE", "BR"), "Card Address Country": draw.some("US", "DE"),
        "Card CVC Status": draw.some("pass", "", "fail"),
        "Card AVS Zip Status": draw.some("pass", "unavailable", "fail"),
        "Card AVS Line1 Status": draw.some("pass", ""), "Payment Source Type": "card",
        "Disputed Amount": np.where(reason != "", draw.amount, 0), "Dispute Reason": reason,
        "Dispute Date (UTC)": np.where(reason != "", draw.times("%Y-%m-%d %H:%M", after=9), ""),
    })  # fmt: skip


def adyen() -> pd.DataFrame:
    """The Received payment details report, with the label that has been added."""
    draw = Draw()
    return _file(ADYEN, {
        "Company Account": "Shop", "Merchant Account": "ShopEU", "Psp Reference": draw.ids("PSP{:013d}"),
        "Payment Method": draw.some("visa", "mc"), "Creation Date": draw.times("%Y-%m-%d %H:%M:%S"), "TimeZone": "UTC",
        "Currency": "EUR", "Amount": draw.amount, "Type": "Authorised", "Risk Scoring": (draw.normal() * 10).round(),
        "Shopper Interaction": "Ecommerce", "Shopper IP": draw.who("203.0.113.{}", 250),
        "Shopper Country": draw.some("NL", "DE", "BR"), "Issuer Country": draw.some("NL", "DE", "US"),
        "Shopper Email": draw.who("shopper{}@example.com"), "Shopper Reference": draw.who("S{:05d}"),
        "3D Directory Response": draw.some("Y", "N"), "3D Authentication Response": draw.some("Y", "A", ""),
        "CVC2 Response": draw.some("1", "2"), "AVS Response": draw.some("7", "4", "2"),
        "is_fraud": draw.labels("1", ""),
    })  # fmt: skip


def iso_8583() -> pd.DataFrame:
    """Authorisations, by the numbers of their data elements."""
    draw = Draw()
    return _file(ISO_8583, {
        "de37_retrieval_reference_number": draw.ids("{:012d}"), "DE 12": draw.times("%Y%m%d%H%M%S"),
        "de2_token": draw.who("tok{:05d}"), "de2_bin": draw.who("4{:05d}", 30), "DE3": draw.some("000000", "010000"),
        "DE4": (draw.amount * 100).round().astype(int), "DE11": draw.ids("{:06d}"),
        "DE18": draw.some("5411", "5999", "7995"),
        "DE22": draw.some("051", "071", "812"), "DE39": draw.some("00", "51"), "DE41": draw.who("T{:07d}"),
        "DE42": draw.who("M{:014d}", 80), "DE49": "978", "is_fraud": draw.labels("1", "0"),
    })  # fmt: skip


def fraud_dataset_benchmark() -> pd.DataFrame:
    """What its loader gives, with a feature of the dataset."""
    draw = Draw()
    return _file(FDB, {
        "EVENT_ID": draw.ids("e{}"), "EVENT_TIMESTAMP": draw.times("%Y-%m-%dT%H:%M:%SZ"),
        "ENTITY_ID": draw.who("entity{}"), "ENTITY_TYPE": "user", "EVENT_LABEL": draw.labels("1", "0"),
        "LABEL_TIMESTAMP": draw.times("%Y-%m-%dT%H:%M:%SZ", after=3), "num_following": draw.normal(),
    })  # fmt: skip


def amazon_transactions() -> pd.DataFrame:
    """The sample of transactions."""
    draw = Draw()
    when = draw.times("%Y-%m-%dT%H:%M:%SZ")
    return _file(AMAZON_TRANSACTIONS, {
        "EVENT_LABEL": draw.labels("1", "0"), "EVENT_TIMESTAMP": when, "LABEL_TIMESTAMP": when,
        "EVENT_ID": draw.ids("10{:030x}"), "ENTITY_TYPE": "customer", "ENTITY_ID": draw.who("070-69-{:04d}"),
        "card_bin": draw.who("4{:05d}", 30), "customer_name": "Dennis", "billing_state": draw.some("NY", "TX", "AK"),
        "billing_latitude": 42.3182, "billing_longitude": -79.3758, "billing_country": "US",
        "ip_address": draw.who("203.0.113.{}", 250), "customer_email": draw.who("shopper{}@example.com"),
        "user_agent": "Opera/9.84.(X11; Linux i686; raj-IN) Presto/2.9.173 Version/10.00",
        "product_category": draw.some("misc_net", "home", "shopping_net"), "order_price": draw.amount,
        "payment_currency": draw.some("USD", "EUR"), "merchant": draw.who("fraud_Shop, {} and Sons", 60),
    })  # fmt: skip


def amazon_registrations() -> pd.DataFrame:
    """The sample of registrations."""
    draw = Draw()
    return _file(AMAZON_REGISTRATIONS, {
        "ip_address": draw.who("203.0.113.{}", 250), "email_address": draw.who("fake_{}@example.org"),
        "billing_state": draw.some("NY", "TX", "WY"), "user_agent": "Mozilla/5.0 (X11; Linux i686)",
        "billing_postal": draw.who("3{:04d}"), "phone_number": draw.who("(555)355 - {:04d}"),
        "EVENT_TIMESTAMP": draw.times("%m/%d/%Y %H:%M"), "billing_address": draw.who("{} Carlson Lane Fake St."),
        "EVENT_LABEL": draw.labels("fraud", "legit"),
    })  # fmt: skip


def paysim() -> pd.DataFrame:
    """Mobile money."""
    draw = Draw()
    return _file(PAYSIM, {
        "step": 1 + draw.seconds // 3600, "type": draw.some("PAYMENT", "CASH_IN", "TRANSFER"), "amount": draw.amount,
        "nameOrig": draw.who("C{:010d}", 1000), "oldbalanceOrg": draw.amount, "newbalanceOrig": 0.0,
        "nameDest": draw.who("M{:010d}"), "oldbalanceDest": 0.0, "newbalanceDest": 0.0,
        "isFraud": draw.labels("1", "0"), "isFlaggedFraud": 0,
    })  # fmt: skip


def banksim() -> pd.DataFrame:
    """Card payments, its texts in quotes."""
    draw = Draw()
    return _file("step,customer,age,gender,zipcodeOri,merchant,zipMerchant,category,amount,fraud", {
        "step": draw.seconds // 86_400, "customer": draw.who("'C{:07d}'"), "age": draw.some("'2'", "'3'", "'U'"),
        "gender": draw.some("'M'", "'F'", "'E'"), "zipcodeOri": "'28007'", "merchant": draw.who("'M{:09d}'", 50),
        "zipMerchant": "'28007'", "category": draw.some("'es_transportation'", "'es_food'", "'es_travel'"),
        "amount": draw.amount, "fraud": draw.labels("1", "0"),
    })  # fmt: skip


def sparkov() -> pd.DataFrame:
    """Card payments, their rows numbered by a column without a name."""
    draw = Draw()
    return _file(SPARKOV, {
        "": range(ROWS), "trans_date_trans_time": draw.times("%Y-%m-%d %H:%M:%S"),
        "cc_num": draw.who("27031861896{:05d}"),
        "merchant": draw.who("fraud_Shop, {} and Sons", 60), "category": draw.some("misc_pos", "home", "misc_net"),
        "amt": draw.amount, "first": "Jennifer", "last": "Banks", "gender": draw.some("F", "M"), "street": "561 Perry",
        "city": "Moravian Falls", "state": draw.some("NC", "WA", "AK"), "zip": "28654",
        "lat": 36.0788, "long": -81.1781,
        "city_pop": 3495, "job": "Engineer, civil", "dob": "1988-03-09", "trans_num": draw.ids("{:032x}"),
        "unix_time": 1_325_376_018 + draw.seconds, "merch_lat": 36.0 + draw.normal(), "merch_long": -82.0,
        "is_fraud": draw.labels("1", "0"),
    })  # fmt: skip


def ieee_cis() -> pd.DataFrame:
    """train_transaction.csv, with some of its columns V."""
    draw = Draw()
    groups = [("C", 14), ("D", 15), ("M", 9), ("V", 6)]
    numbered = [f"{letter}{number}" for letter, count in groups for number in range(1, count + 1)]
    return _file([*IEEE_CIS.split(","), *numbered], {
        "TransactionID": 2_987_000 + np.arange(ROWS), "isFraud": draw.labels("1", "0"),
        "TransactionDT": 86_400 + draw.seconds, "TransactionAmt": draw.amount, "ProductCD": draw.some("W", "H", "C"),
        "card1": draw.who("{}"), "card2": draw.some("404.0", "", "545.0"), "card3": "150.0",
        "card4": draw.some("visa", "mastercard"), "card5": "226.0", "card6": draw.some("debit", "credit"),
        "addr1": draw.some("315.0", "204.0", ""), "addr2": "87.0",
        "P_emaildomain": draw.some("gmail.com", "", "mail.com"),
        "C1": draw.rng.integers(9, size=ROWS), "D1": draw.rng.integers(99, size=ROWS), "M4": draw.some("M0", "", "M2"),
        "M6": draw.some("T", "F"), "V1": draw.normal(),
    })  # fmt: skip


def ulb_creditcard() -> pd.DataFrame:
    """creditcard.csv."""
    draw = Draw()
    components = {f"V{number}": draw.normal() for number in range(1, 29)}
    return pd.DataFrame(
        {"Time": draw.seconds.astype(float), **components, "Amount": draw.amount, "Class": draw.labels("1", "0")}
    )


def baf() -> pd.DataFrame:
    """Base.csv, whose numbers have -1 for a missing value."""
    draw = Draw()
    words = {
        "payment_type": draw.some("AA", "AB", "AC"), "employment_status": draw.some("CA", "CB"),
        "housing_status": draw.some("BC", "BB", "BA"), "source": draw.some("INTERNET", "TELEAPP"),
        "device_os": draw.some("linux", "other", "windows"), "fraud_bool": draw.labels("1", "0"),
        "month": draw.seconds // (8 * 86_400), "bank_months_count": draw.some("1", "28", "-1"), "device_fraud_count": 0,
    }  # fmt: skip
    flags = {name: draw.some("0", "1") for name in BAF.split(",") if name.endswith(("_valid", "_free", "_cards"))}
    flags |= {name: draw.some("0", "1") for name in ("foreign_request", "keep_alive_session")}
    numbers = {name: draw.normal() for name in BAF.split(",")}
    return _file(BAF, numbers | flags | words)


FORMS: Mapping[str, Callable[[], pd.DataFrame]] = {
    "adyen": adyen,
    "amazon-registrations": amazon_registrations,
    "amazon-transactions": amazon_transactions,
    "baf": baf,
    "banksim": banksim,
    "fraud-dataset-benchmark": fraud_dataset_benchmark,
    "ieee-cis": ieee_cis,
    "iso-8583": iso_8583,
    "paysim": paysim,
    "sparkov": sparkov,
    "stripe": stripe,
    "ulb-creditcard": ulb_creditcard,
}
"""By the name of the preset."""
