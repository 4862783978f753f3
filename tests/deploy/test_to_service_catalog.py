"""Versions of products: what says what they are, and what is refused."""

from typing import Any

import pytest
from aws_cdk import CfnParameter
from aws_cdk import aws_servicecatalog as servicecatalog

from code_family_constructs.deploy.to_service_catalog import ServiceCatalogDeployment
from tests.helpers import a_context, a_stack, refuses

VERSION: dict[str, Any] = {"template_path": "bucket.json", "version_name": "#{variables.Version}"}


def a_product(stack):
    return servicecatalog.Product.from_product_arn(
        stack, "Product", "arn:aws:catalog:eu-west-1:111122223333:product/prod-abcdef123"
    )


@pytest.mark.parametrize(
    ("settings", "problem", "fix"),
    [
        ({}, "nothing to publish", "configuration_path="),
        ({"template_path": "bucket.json"}, "a version without a name", "version_name="),
        ({**VERSION, "configuration_path": "product.json"}, "and what the file says", "leave template_path="),
        ({"configuration_path": "/product.json"}, "configuration_path='/product.json'", "from the artifact's root"),
        ({**VERSION, "template_path": "../a.json"}, "template_path='../a.json'", "from the artifact's root"),
        ({**VERSION, "version_name": "v2"}, "version_name='v2' is the same in each release", "#{codepipeline."),
        ({**VERSION, "version_description": "x" * 1001}, "version_description of 1001", "use a shorter one"),
    ],
)
def test_what_the_action_would_refuse_is_refused(settings, problem, fix):
    with refuses(problem, at="ServiceCatalogDeployment", fix=fix):
        ServiceCatalogDeployment(product=a_product(a_stack()), **settings)


def test_a_product_over_there_is_known_by_its_id():
    stack = a_stack()
    arn = CfnParameter(stack, "Arn").value_as_string
    product = servicecatalog.Product.from_product_arn(stack, "Product", arn)
    with refuses("product 'Shop/Product' gets its id", at="ServiceCatalogDeployment", fix="from_product_arn("):
        ServiceCatalogDeployment(product=product, **VERSION).stage_action(a_context(region="us-east-1"))
    made = ServiceCatalogDeployment(product=a_product(a_stack()), **VERSION).stage_action(a_context(region="us-east-1"))
    assert ":catalog:us-east-1:" in made.permissions[0].resources[0]
